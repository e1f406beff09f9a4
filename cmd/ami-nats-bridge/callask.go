package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// replies are what comes for one request, from one server or from each.
type replies struct {
	c     *callCmd
	std   stdio
	every bool
	// ends is how many times a bridge says how many servers it has asked, or has had asked.
	ends  int
	parts map[string]int // of streams, by server
	// shown is how many replies came, said how many the bridges say there are.
	shown, said int
	failed      error
	noted       bool // which columns there are not
}

// request publishes request, prints what comes as it comes, and returns when all is
// there.
func (c *callCmd) request(ctx context.Context, std stdio, nc *nats.Conn, request *nats.Msg) error {
	r := replies{c: c, std: std, every: c.Server == "all", ends: 1, parts: map[string]int{}}
	if r.every { // each bridge answers for its own servers, or one for all that they share
		served, err := discover(ctx, nc, prefixOf(request.Subject))
		switch {
		case err != nil:
			return err
		case served.ends > 0:
			r.ends = served.ends
		default: // what there is may still answer
			fmt.Fprintf(std.err, "how many bridges there are is not known, as %s has no answer: replies of the first are shown\n", discovery)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout+replyGrace)
	defer cancel()
	request.Reply = nc.NewInbox()
	sub, err := nc.SubscribeSync(request.Reply)
	if err != nil {
		return err
	}
	if err := nc.PublishMsg(request); err != nil {
		return fmt.Errorf("%s: %w (sent: no)", c.Action, err)
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return r.broken(ctx, err)
		}
		if done, err := r.take(m); done || err != nil {
			return err
		}
	}
}

// broken says what it means that nothing more comes because of err.
func (r *replies) broken(ctx context.Context, err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		return err
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, context.DeadlineExceeded):
		err = fmt.Errorf("nothing more within %v", r.c.Timeout+replyGrace)
	case errors.Is(cause, context.Canceled):
		err = errors.New("interrupted")
	case cause != nil:
		err = cause
	}
	if r.every {
		return fmt.Errorf("%s: %s came: %w (sent: unknown)", r.c.Action, count(r.shown, "reply"), err)
	}
	return fmt.Errorf("%s: no reply: %w (sent: unknown)", r.c.Action, err)
}

// take prints a message, and reports whether it is the last.
func (r *replies) take(m *nats.Msg) (done bool, err error) {
	if part := m.Header.Get("Ami-Part"); part != "" {
		return false, r.part(m, part)
	}
	if said := m.Header.Get("Ami-Replies"); said != "" && r.every {
		n, _ := strconv.Atoi(said)
		r.said, r.ends = r.said+n, r.ends-1
		if r.ends > 0 {
			return false, nil
		}
		if r.said != r.shown && r.failed == nil {
			return true, fmt.Errorf("%d of %d replies came: NATS dropped the others", r.shown, r.said)
		}
		return true, r.failed
	}
	r.shown++
	var from struct {
		Server string
		Parts  *int
	}
	_ = json.Unmarshal(m.Data, &from) // what is no JSON is told of when it is printed
	if n := r.parts[from.Server]; from.Parts != nil && *from.Parts != n {
		return true, fmt.Errorf("%d of %d parts came: NATS dropped the others", n, *from.Parts)
	}
	if err := r.reply(m, r.parts[from.Server] > 0); err != nil {
		if _, ok := errors.AsType[*exitError](err); !ok || !r.every {
			return true, err
		}
		r.failed = &exitError{code: 1}
	}
	return !r.every, nil
}

// part prints a part of a streamed reply.
func (r *replies) part(m *nats.Msg, number string) error {
	server := m.Header.Get("Ami-Server")
	r.parts[server]++
	if want := strconv.Itoa(r.parts[server]); number != want {
		return fmt.Errorf("part %s is missing, part %.20q came: NATS dropped it", want, number)
	}
	return r.printPart(server, m.Data)
}
