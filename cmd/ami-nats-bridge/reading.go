package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// readFlags are those of the commands that read a stream.
type readFlags struct {
	natsFlags
	Stream string   `placeholder:"NAME" help:"Another stream than the bridge's, such as a mirror of it."`
	API    string   `name:"js-api" placeholder:"PREFIX" help:"Where JetStream answers, if not at $$JS.API: $$JS.<domain>.API, or what your account imports it as."`
	Server []string `placeholder:"GLOB" help:"Only these servers; may be repeated."`
	From   string   `placeholder:"TIME" help:"From then on: 2026-11-24T10:00:00Z, 2026-11-24 10:00 (local), yesterday, 14:00, -90s, -7d."`
	To     string   `placeholder:"TIME" help:"Before then."`
}

// selection is what the flags select of a kind of messages.
func (f *readFlags) selection(kind string, names []string) (replay.Selection, error) {
	sel := replay.Selection{Kind: kind, Servers: f.Server, Names: names}
	now := time.Now()
	for flag, text := range map[string]string{"--from": f.From, "--to": f.To} {
		if text == "" {
			continue
		}
		t, err := replay.ParseTime(text, now)
		if err != nil {
			return sel, usage("%s: %v", flag, err)
		}
		if flag == "--from" {
			sel.From = t
		} else {
			sel.To = t
		}
	}
	switch err := sel.Check(); {
	case err != nil:
		return sel, usage("%v", err)
	case sel.From.After(now.Add(time.Minute)): // clocks differ
		return sel, usage("--from: %s is not yet", sel.From.Local().Format(time.DateTime))
	case !sel.To.IsZero() && !sel.From.Before(sel.To):
		return sel, usage("nothing is from %s on and before %s", sel.From.Local().Format(time.DateTime), sel.To.Local().Format(time.DateTime))
	}
	return sel, nil
}

// open connects. The context ends with a signal, or with what NATS does not
// permit as its cause. Whoever calls it calls end.
func (f *readFlags) open(std stdio, name, stream string) (ctx context.Context, source *replay.Source, prefix string, end func(), err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // what is read is garbage soon, and little is kept
	}
	ctx, stop := untilSignal(context.Background(), os.Exit)
	ctx, cancel := context.WithCancelCause(ctx)
	opts := append(outages(std.err, "the reading goes on once it is back", nil), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if subject, _, _ := natsconn.Denial(err); errors.Is(err, nats.ErrPermissionViolation) && !replay.Optional(subject) {
			cancel(fmt.Errorf("%w: --js-api and --inbox say where the user may ask, and where the answers come", err))
		}
	}))
	nc, err := f.connect(name, opts...)
	if err != nil {
		cancel(nil)
		stop()
		return nil, nil, "", nil, err
	}
	source = &replay.Source{Conn: nc.Conn, API: cmp.Or(f.API, nc.api), Stream: cmp.Or(f.Stream, stream)}
	return ctx, source, nc.cfg.SubjectPrefix, func() { nc.Close(); cancel(nil); stop() }, nil
}

// begins says where source begins, of a reading from a time on of which it has not all any more; nothing where it has,
// or where nobody says.
func begins(ctx context.Context, source *replay.Source, from time.Time) (note string) {
	if from.IsZero() {
		return ""
	}
	first, err := source.Begins(ctx)
	if err != nil || !first.After(from.Add(clockSlack)) { // what keeps from reading is told by who reads
		return ""
	}
	return fmt.Sprintf("%s begins at %s: what was before is gone from it, by age, by a limit or by a purge", source.Stream, first.Local().Format(time.DateTime))
}

// sayBegins asks for it first, for it moves on meanwhile, and returns what says it behind all else.
func sayBegins(ctx context.Context, std stdio, source *replay.Source, from time.Time) (say func()) {
	note := begins(ctx, source, from)
	return func() {
		if note != "" {
			fmt.Fprintln(std.err, "ami-nats-bridge:", terminal.Printable(note))
		}
	}
}

// clockSlack is how far the clocks of the bridge and of NATS may differ.
const clockSlack = time.Minute

// usage is an error of the command line.
func usage(format string, args ...any) error {
	return &exitError{code: 2, text: "ami-nats-bridge: " + fmt.Sprintf(format, args...), usage: true}
}

// unless returns err, or if a signal ended the reading, an error that says that
// what was printed is not all.
func unless(err error) error {
	if errors.Is(err, context.Canceled) {
		return &exitError{code: 1, text: "ami-nats-bridge: interrupted: this is not all"}
	}
	return err
}

// progress tells on a terminal how far a reading has come, if what is read does
// not go to the terminal itself.
type progress struct {
	std          stdio
	on           bool
	began, shown time.Time
}

func newProgress(std stdio) *progress {
	now := time.Now()
	return &progress{std: std, on: terminal.Is(std.err) && !terminal.Is(std.out), began: now, shown: now}
}

// show is called for each message that was read.
func (p *progress) show(at replay.Progress) {
	if !p.on || at.Read%256 != 0 || time.Since(p.shown) < time.Second/2 {
		return
	}
	p.shown = time.Now()
	rate := float64(at.Read) / time.Since(p.began).Seconds()
	fmt.Fprintf(p.std.err, "\r\033[K%d of %d read, %.0f/s, up to %s", at.Read, max(at.Total, at.Read), rate,
		at.At.Local().Format(time.DateTime))
}

// done clears the line.
func (p *progress) done() {
	if p.on {
		fmt.Fprint(p.std.err, "\r\033[K")
	}
}
