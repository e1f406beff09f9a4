package realasterisk

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/asterisk"
)

// maxInstances is how many instances of one install may run at once.
const maxInstances = 100

// home is the private folder of one running instance inside an install. Its lock is held by this process
// and goes with it, so a folder that a killed test left behind is found unlocked and used again.
type home struct {
	root     string // the install
	inside   string // the folder as Asterisk sees it
	path     string // the folder as this process sees it
	address  string // loopback address that only this instance uses
	lock     *os.File
	uid, gid int
}

// takeHome finds a free number, locks it and empties its folder.
func takeHome(root string) (*home, error) {
	uid, gid, err := asteriskAccount(root)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(root, "instances"), 0o755); err != nil {
		return nil, err
	}
	for n := 1; n <= maxInstances; n++ {
		h := &home{root: root, inside: fmt.Sprintf("/instances/%d", n), address: loopback(root, n), uid: uid, gid: gid}
		h.path = filepath.Join(root, h.inside)
		h.lock, err = os.OpenFile(h.path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(h.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			h.lock.Close()
			continue
		}
		if err := errors.Join(err, h.prepare()); err != nil {
			return nil, errors.Join(err, h.release())
		}
		return h, nil
	}
	return nil, fmt.Errorf("%d instances of %s run already", maxInstances, root)
}

// loopback gives every instance of every install an address of its own, so that all can use the same
// ports. Two installs whose names hash alike fail at bind, not silently.
func loopback(root string, n int) string {
	sum := fnv.New32a()
	sum.Write([]byte(root))
	v := sum.Sum32()
	return fmt.Sprintf("127.%d.%d.%d", 1+v>>8%254, v%256, n)
}

func (h *home) prepare() error {
	if err := os.RemoveAll(h.path); err != nil {
		return err
	}
	for _, name := range []string{"etc", "db", "spool", "run", "log", "cache"} {
		if err := os.MkdirAll(filepath.Join(h.path, name), 0o755); err != nil {
			return err
		}
	}
	if err := h.writeHosts(); err != nil {
		return err
	}
	if err := h.render(); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := writeCertificate(filepath.Join(h.path, "etc"), h.address); err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	return filepath.WalkDir(h.path, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, h.uid, h.gid))
	})
}

// writeHosts names this machine inside the install: Asterisk looks its host up for each SIP call, and would
// ask the network otherwise. All instances write the same.
func (h *home) writeHosts() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(h.root, "etc/hosts"), fmt.Appendf(nil, "127.0.0.1 localhost %s\n", name), 0o644)
}

func (h *home) render() error {
	all, err := template.ParseFS(asterisk.Etc, "etc/*.conf")
	if err != nil {
		return err
	}
	for _, t := range all.Templates() {
		f, err := os.Create(filepath.Join(h.path, "etc", t.Name()))
		if err != nil {
			return err
		}
		err = t.Execute(f, struct{ Address, Home string }{h.address, h.inside})
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// release gives the number free. The folder stays, for whoever wants to see what Asterisk left.
func (h *home) release() error { return h.lock.Close() }

// asteriskAccount reads the ids that the package gave the user asterisk in this install.
func asteriskAccount(root string) (uid, gid int, err error) {
	passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil {
		return 0, 0, fmt.Errorf("no install: %w", err)
	}
	for line := range strings.Lines(string(passwd)) {
		fields := strings.Split(line, ":")
		if fields[0] != "asterisk" || len(fields) < 4 {
			continue
		}
		uid, errUID := strconv.Atoi(fields[2])
		gid, errGID := strconv.Atoi(fields[3])
		return uid, gid, errors.Join(errUID, errGID)
	}
	return 0, 0, fmt.Errorf("no user asterisk in %s", root)
}
