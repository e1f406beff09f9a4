package realasterisk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	amiPort = "15038" // as in integration/asterisk/etc/manager.conf
	tlsPort = "15039"

	// stopTimeout is how long Asterisk may take to stop by itself before it is killed.
	stopTimeout = time.Minute
	// logTail is how much of each log an error quotes.
	logTail = 8 << 10
)

// Instance is one Asterisk to test against, in most cases one that Start has started.
type Instance struct {
	addr    string
	user    User
	version string

	home *home // nil for an Asterisk that was there already
	cmd  *exec.Cmd

	wg     sync.WaitGroup
	exited chan struct{} // closed when the process is gone; exit is set before
	exit   error
}

// Addr is host:port of plain AMI.
func (i *Instance) Addr() string { return i.addr }

// TLSAddr is host:port of AMI over TLS, with the certificate CAFile; "" if the bench did not start it.
func (i *Instance) TLSAddr() string {
	if i.home == nil {
		return ""
	}
	return i.home.address + ":" + tlsPort
}

// CAFile is the PEM file that a client of TLSAddr has to trust; it names the address, not a host.
func (i *Instance) CAFile() string {
	if i.home == nil {
		return ""
	}
	return filepath.Join(i.home.path, "etc/ami.pem")
}

// Certify makes the next Restart serve TLSAddr with a certificate of the caller's, as files that hold PEM.
func (i *Instance) Certify(certFile, keyFile string) error {
	if i.home == nil {
		return errors.New("an Asterisk given by its address is not ours to change")
	}
	for name, from := range map[string]string{"ami.pem": certFile, "ami.key": keyFile} {
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		path := filepath.Join(i.home.path, "etc", name)
		if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chown(path, i.home.uid, i.home.gid)); err != nil {
			return err
		}
	}
	return nil
}

// User is the account with every privilege.
func (i *Instance) User() User { return i.user }

// Limited is an account of the bench's own configuration that reads class call and writes class reporting.
func (i *Instance) Limited() User { return User{"limited", "lim"} }

// Dialer is an account of the bench's own configuration that reads class call and writes classes originate and reporting.
func (i *Instance) Dialer() User { return User{"dialer", "dlr"} }

// Home is the private folder of an Asterisk that the bench started, as Asterisk sees it and as this process does.
func (i *Instance) Home() (inside, path string) { return i.home.inside, i.home.path }

// Reader is an account of the bench's own configuration that reads the classes system, call, agent and dtmf
// and writes command, system and originate.
func (i *Instance) Reader() User { return User{"reader", "rdr"} }

// Single is an account of the bench's own configuration with every privilege and one session at a time.
func (i *Instance) Single() User { return User{"single", "one"} }

// Barred is an account of the bench's own configuration whose ACL refuses every login.
func (i *Instance) Barred() User { return User{"barred", "bar"} }

// Version is what CoreSettings calls AsteriskVersion, such as "16.28.0~dfsg-0+deb11u4".
func (i *Instance) Version() string { return i.version }

// OwnConfiguration says whether the bench started it, so that its dialplan, users and queues exist.
func (i *Instance) OwnConfiguration() bool { return i.home != nil }

// Start runs the Asterisk installed in dir with the bench's configuration and returns when it has booted,
// answers and is seeded. Ctx bounds the start only. The caller closes the Instance.
func Start(ctx context.Context, dir string) (*Instance, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("starting Asterisk needs root, for chroot")
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	h, err := takeHome(root)
	if err != nil {
		return nil, fmt.Errorf("instance of %s: %w", dir, err)
	}
	i := &Instance{addr: h.address + ":" + amiPort, user: User{"bridge", "s3cret"}, home: h, exited: make(chan struct{})}
	if err := i.launch(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", dir, err), h.release())
	}
	if err := i.ready(ctx); err != nil {
		i.kill()
		i.wg.Wait()
		return nil, errors.Join(fmt.Errorf("start %s: %w\n%s", dir, err, i.Log()), h.release())
	}
	return i, nil
}

// launch starts the process and the goroutine that waits for it.
func (i *Instance) launch() error {
	console, err := os.Create(filepath.Join(i.home.path, "log/console"))
	if err != nil {
		return err
	}
	defer console.Close()
	i.cmd = &exec.Cmd{
		Path:   "/usr/sbin/asterisk",
		Args:   []string{"asterisk", "-f", "-C", i.home.inside + "/etc/asterisk.conf"},
		Dir:    "/",
		Env:    []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LANG=C.UTF-8"},
		Stdout: console,
		Stderr: console,
		// The kernel forgets Pdeathsig when a process changes its user, so Asterisk is started as its user
		// instead of with -U.
		SysProcAttr: &syscall.SysProcAttr{
			Chroot:     i.home.root,
			Credential: &syscall.Credential{Uid: uint32(i.home.uid), Gid: uint32(i.home.gid)},
			Setpgid:    true,
			Pdeathsig:  syscall.SIGKILL,
		},
	}
	started := make(chan error)
	i.wg.Go(func() {
		// Pdeathsig fires when the thread that forked ends, so this one stays for as long as Asterisk.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := i.cmd.Start()
		started <- err
		if err == nil {
			i.exit = i.cmd.Wait()
			close(i.exited)
		}
	})
	return <-started
}

// Close stops Asterisk and waits until it and all its children are gone. An Asterisk that had already
// ended, did not stop by itself or ended with an error is an error.
func (i *Instance) Close() error {
	if i.home == nil {
		return nil
	}
	var early error
	select {
	case <-i.exited:
		early = errors.New("ended before it was stopped")
	default:
		i.cmd.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-i.exited:
	case <-time.After(stopTimeout):
		early = fmt.Errorf("did not stop in %v", stopTimeout)
	}
	i.kill()
	i.wg.Wait()
	if err := errors.Join(early, i.exit); err != nil {
		return errors.Join(fmt.Errorf("asterisk at %s: %w", i.addr, err), i.home.release())
	}
	return i.home.release()
}

// Restart kills Asterisk, which says goodbye to nobody, and starts it again. It returns when it is ready;
// what it was seeded with before lives in its database.
func (i *Instance) Restart(ctx context.Context) error { return i.RestartAfter(ctx, 0) }

// RestartAfter is Restart with that long between the end and the start.
func (i *Instance) RestartAfter(ctx context.Context, down time.Duration) error {
	if i.home == nil {
		return errors.New("an Asterisk given by its address is not ours to restart")
	}
	i.kill()
	i.wg.Wait()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(down):
	}
	i.exit, i.exited = nil, make(chan struct{})
	if err := i.launch(); err != nil {
		return fmt.Errorf("start again: %w", err)
	}
	return i.ready(ctx)
}

// kill ends the process group: Asterisk and what its dialplan started.
func (i *Instance) kill() { syscall.Kill(-i.cmd.Process.Pid, syscall.SIGKILL) }

// Log returns the ends of Asterisk's own log and of what it printed.
func (i *Instance) Log() string {
	if i.home == nil {
		return ""
	}
	var all bytes.Buffer
	for _, name := range []string{"console", "full"} {
		path := filepath.Join(i.home.path, "log", name)
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fmt.Fprintf(&all, "--- end of %s\n%s\n", path, text[max(0, len(text)-logTail):])
	}
	return all.String()
}
