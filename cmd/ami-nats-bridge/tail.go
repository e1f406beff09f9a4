package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

type tailCmd struct {
	natsFlags
	Subject string `arg:"" optional:"" help:"What to subscribe to; all events if not given. Quote the > for your shell."`
	Count   int    `help:"End after so many messages." placeholder:"N"`
	JSON    bool   `name:"json" help:"Print the payloads as they are."`
}

// tailQueue bounds what waits for the terminal; beyond it NATS drops for this
// subscriber alone, and tail says so.
const tailQueue = 8192

// Run prints messages until --count or a signal.
func (c *tailCmd) Run(std stdio) error {
	ctx, stop := untilSignal(context.Background(), os.Exit)
	defer stop()
	broken := make(chan error, 1)
	nc, cfg, err := c.connect("tail", nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			select {
			case broken <- err:
			default:
			}
			return
		}
		fmt.Fprintln(std.err, "ami-nats-bridge:", err)
	}))
	if err != nil {
		return err
	}
	defer nc.Close()
	subject := c.Subject
	if subject == "" {
		subject = cfg.SubjectPrefix + ".events.>"
	}
	messages := make(chan *nats.Msg, tailQueue)
	if _, err := nc.ChanSubscribe(subject, messages); err != nil {
		return fmt.Errorf("subscribe to %.80q: %w", subject, err)
	}
	if err := nc.Flush(); err != nil {
		return fmt.Errorf("subscribe to %.80q: %w", subject, err)
	}
	printed := c.lastValues(ctx, std.out, nc, cfg.SubjectPrefix, subject)
	for c.Count <= 0 || printed < c.Count {
		select {
		case <-ctx.Done():
			return nil
		case err := <-broken:
			return err
		case m := <-messages:
			c.print(std.out, m.Subject, m.Header.Get("Ami-Time"), m.Data)
			printed++
		}
	}
	return nil
}

// lastValues prints what AMI_STATUS keeps of a state subject, so that a state
// that does not change is seen too. Without that stream it prints nothing.
func (c *tailCmd) lastValues(ctx context.Context, w io.Writer, nc *nats.Conn, prefix, subject string) (printed int) {
	if !strings.HasPrefix(subject, prefix+".status.") && !strings.HasPrefix(subject, prefix+".nodes.") {
		return 0
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, "AMI_STATUS", jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return 0
	}
	batch, err := consumer.FetchNoWait(1000)
	if err != nil {
		return 0
	}
	for m := range batch.Messages() {
		if c.Count > 0 && printed >= c.Count {
			continue
		}
		c.print(w, m.Subject(), "", m.Data())
		printed++
	}
	return printed
}

// print writes one message in one line.
func (c *tailCmd) print(w io.Writer, subject, read string, data []byte) {
	if c.JSON {
		fmt.Fprintf(w, "%s\n", data)
		return
	}
	fmt.Fprintln(w, readable(subject, read, data))
}

// readable is a message's time, subject and first fields.
func readable(subject, read string, data []byte) string {
	fields := fieldsOf(data)
	if read == "" {
		read = valueOf(fields, "at")
	}
	at, err := time.Parse(time.RFC3339, read)
	if err != nil {
		at = time.Now()
	}
	text := pairs(mainFields(fields), 6)
	if fields == nil {
		text = " " + terminal.Printable(string(data[:min(len(data), 200)]))
	}
	return at.Local().Format("15:04:05.000") + " " + terminal.Printable(subject) + text
}

// telling are the fields to show of an event that has some of them.
var telling = []string{"Channel", "DestChannel", "CallerIDNum", "ConnectedLineNum", "Exten", "Queue", "MemberName",
	"Interface", "Application", "Device", "State", "ChannelStateDesc", "DialStatus", "Cause", "Cause-txt",
	"UserEvent", "Peer", "PeerStatus", "Endpoint", "Variable", "Value"}

func mainFields(fields []field) []field {
	var main []field
	for _, name := range telling {
		if value := valueOf(fields, name); value != "" {
			main = append(main, field{name, value})
		}
	}
	if len(main) > 0 {
		return main
	}
	for _, f := range fields {
		if f.name != "at" && f.name != "server" && f.name != "node" {
			main = append(main, f)
		}
	}
	return main
}
