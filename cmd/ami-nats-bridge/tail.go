package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/top"
)

type tailCmd struct {
	natsFlags
	outputFlag
	Subject string   `arg:"" optional:"" help:"A subject, such as ami.status.>, or an event, such as Hangup or 'Queue*'; all events if not given. Quote > and * for your shell."`
	Server  []string `placeholder:"GLOB" help:"Only these servers; may be repeated."`
	Event   []string `placeholder:"GLOB" help:"Only these events; may be repeated."`
	Grep    matching `placeholder:"REGEXP" help:"Only messages whose subject, or one of whose fields as Name=value, matches; (?i) in front ignores case."`
	Count   int      `help:"End after so many messages." placeholder:"N"`
}

// Help is printed below the command's line in its own help.
func (*tailCmd) Help() string {
	return `A line shows what matters of an event; -o json has all of it. Of a state (ami.status, ami.nodes) it first shows what is now.

  ami-nats-bridge tail 'Queue*' --server pbx1
  ami-nats-bridge tail --grep 'CallerIDNum=\+49'
  ami-nats-bridge tail 'ami.status.>' --grep 'error='`
}

// matching is a regular expression, or none.
type matching struct{ *regexp.Regexp }

// UnmarshalText reads one of Go's (RE2).
func (m *matching) UnmarshalText(text []byte) (err error) {
	m.Regexp, err = regexp.Compile(string(text))
	return err
}

// tailQueue bounds what waits for the terminal; beyond it NATS drops for this
// subscriber alone, and tail says so.
const tailQueue = 8192

// Run prints messages until --count or a signal.
func (c *tailCmd) Run(std stdio) error {
	if c.Count < 0 {
		return usage("--count wants 1 or more")
	}
	ctx, stop := untilSignal(context.Background(), os.Exit)
	defer stop()
	now, unknown := context.WithCancel(ctx) // until what is now may not be asked for
	defer unknown()
	nc, broken, err := c.dial(std, unknown)
	if err != nil {
		return err
	}
	defer nc.Close()
	prefix := nc.cfg.SubjectPrefix
	filter, err := c.filter(prefix)
	if err != nil {
		return err
	}
	messages := make(chan *nats.Msg, tailQueue)
	if _, err = nc.ChanSubscribe(filter.subject, messages); err == nil {
		err = nc.Flush()
	}
	if err != nil {
		return fmt.Errorf("subscribe to %.80q: %w", filter.subject, err)
	}
	for _, note := range append(filter.notes, filter.unserved(ctx, nc.Conn)...) {
		fmt.Fprintln(std.err, "ami-nats-bridge:", note)
	}
	out := newTailPrinter(std, prefix, c.json())
	show := func(m *replay.Message) (enough bool, err error) {
		if filter.takes(m) {
			err = out.print(m)
		}
		return c.Count > 0 && out.printed >= c.Count, err
	}
	enough, err := lastValues(now, std, nc, filter.subject, show)
	for !enough && err == nil {
		select {
		case <-ctx.Done():
			return nil
		case err = <-broken:
			if subject, publish, _ := natsconn.Denial(err); publish || subject != filter.subject {
				err = nil // a note is missing, or what is now: the messages come
			}
		case m := <-messages:
			enough, err = show(&replay.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
		}
	}
	return err
}

// dial connects. What NATS does not let this user ask goes to broken; unknown is called when what
// is now is of that.
func (c *tailCmd) dial(std stdio, unknown func()) (nc *client, broken chan error, err error) {
	broken = make(chan error, 16)
	opts := append(outages(std.err, "what comes meanwhile is not shown", nil), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if !errors.Is(err, nats.ErrPermissionViolation) {
			fmt.Fprintln(std.err, "ami-nats-bridge:", err)
			return
		}
		if subject, _, _ := natsconn.Denial(err); subject != discovery {
			unknown()
		}
		select {
		case broken <- err:
		default:
		}
	}))
	nc, err = c.connect("tail", opts...)
	return nc, broken, err
}

// lastTimeout bounds the reading of what is now.
const lastTimeout = 5 * time.Second

// lastValues shows what AMI_STATUS keeps of a state subject, so that a state
// that does not change is seen too. Without that stream it shows nothing, nor once
// ctx has ended, for it may not be asked for. Of what cannot be read to its end it says so.
func lastValues(ctx context.Context, std stdio, nc *client, subject string, show func(*replay.Message) (bool, error)) (enough bool, err error) {
	prefix := nc.cfg.SubjectPrefix
	if !strings.HasPrefix(subject, prefix+".status.") && !strings.HasPrefix(subject, prefix+".nodes.") {
		return false, nil
	}
	js, err := jetstream.NewWithAPIPrefix(nc.Conn, nc.api)
	if err != nil {
		return false, nil
	}
	asked, cancel := context.WithTimeout(ctx, lastTimeout)
	defer cancel()
	shown := 0
	unread := top.LastValues(asked, js, []string{subject}, func(m jetstream.Msg, _ time.Duration) bool {
		shown++
		enough, err = show(&replay.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
		return !enough && err == nil
	})
	if unread != nil && (shown > 0 || ctx.Err() == nil && !top.IsNotKept(unread)) {
		fmt.Fprintln(std.err, "ami-nats-bridge: this is not all that is now:", terminal.Printable(unread.Error()))
	}
	return enough, err
}

// tailPrinter prints messages as they come.
type tailPrinter struct {
	prefix  string
	json    bool
	out     *bufio.Writer // flushed after each message
	table   messageTable
	printed int
	buf     []byte
}

func newTailPrinter(std stdio, prefix string, json bool) *tailPrinter {
	return &tailPrinter{prefix: prefix, json: json, out: bufio.NewWriter(std.out), table: messageTable{screen: std.screen()}}
}

// print prints one message in one line.
func (p *tailPrinter) print(m *replay.Message) (err error) {
	p.printed++
	kind, server, name := subjectParts(m.Subject, p.prefix)
	at := m.Header.Get("Ami-Time")
	fields := fieldsOf(m.Data)
	if at == "" {
		at = telling.Value(fields, "at")
	}
	if p.json {
		p.buf = m.AppendLive(p.buf[:0], kind, at)
		_, err = p.out.Write(terminal.JSON(p.buf))
	} else {
		err = p.line(m, kind, server, name, at, fields)
	}
	if flushed := p.out.Flush(); err == nil {
		err = flushed
	}
	return err
}

// tailTime is local.
const tailTime = "15:04:05.000"

// layoutOf is how t is shown: with its day where that is another than that of about. What is kept of a state may be days old.
func layoutOf(t, about time.Time) string {
	if t.Local().Format(time.DateOnly) == about.Local().Format(time.DateOnly) {
		return tailTime
	}
	return tableTime
}

func (p *tailPrinter) line(m *replay.Message, kind, server, name, at string, fields []field) error {
	read, err := time.Parse(time.RFC3339, at)
	if err != nil {
		read = time.Now()
	}
	if kind == "events" {
		return p.table.event(p.out, &replay.Event{Message: m, Server: server, Name: name, Read: read}, layoutOf(read, time.Now()))
	}
	r := row{at: read.Local().Format(layoutOf(read, time.Now())), server: server, name: name}
	switch kind {
	case "status":
		r.says = fieldLine(telling.Shown("."+name, fields))
	case "nodes":
		r.name, r.says = "node", fieldLine(telling.Shown(".node", fields))
	case "audit":
		r.name, r.says = "audit "+name, auditLine(m)
	default:
		r.says = fieldLine(telling.Others(fields))
	}
	if fields == nil {
		r.says = rawLine(m.Data)
	}
	return p.table.print(p.out, r)
}

// subjectParts splits a subject of the bridge; of another, name is all of it.
func subjectParts(subject, prefix string) (kind, server, name string) {
	rest, ours := strings.CutPrefix(subject, prefix+".")
	kind, rest, more := strings.Cut(rest, ".")
	if !ours || !more {
		return "", "-", subject
	}
	server, name, _ = strings.Cut(rest, ".")
	return kind, server, name
}
