package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

const (
	// discovery is where services are asked for what they are (NATS ADR-32).
	discovery = "$SRV.INFO." + actions.ServiceName
	// discoveryWait is how long the first bridge may take to answer, and
	// discoveryMore how long the next one after each.
	discoveryWait, discoveryMore = time.Second, 200 * time.Millisecond
)

// served is what the bridges on a NATS serve.
type served struct {
	ends            int      // that come behind the replies to a request to all
	shared          bool     // bridges share servers: one of them answers for all of these
	servers, groups []string // sorted
}

// names are those of servers and groups.
func (s *served) names() []string { return slices.Concat(s.servers, s.groups) }

// discover asks the bridges whose subjects have that prefix. A user who may not
// ask finds none, at once.
func discover(ctx context.Context, nc *nats.Conn, prefix string) (served, error) {
	var all served
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return all, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only where the connection is gone
	if err := nc.PublishRequest(discovery, inbox, nil); err != nil {
		return all, err
	}
	if mayNot(ctx, nc, discovery, inbox) {
		return all, nil
	}
	for wait := discoveryWait; ; wait = discoveryMore {
		next, cancel := context.WithTimeout(ctx, wait)
		m, err := sub.NextMsgWithContext(next)
		cancel()
		switch {
		case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			slices.Sort(all.servers)
			slices.Sort(all.groups)
			return all, nil
		case err != nil:
			return all, err
		}
		all.add(m.Data, prefix)
	}
}

// mayNot reports whether the last thing that the server did not permit was to use
// one of subjects. It says that before it answers a flush.
func mayNot(ctx context.Context, nc *nats.Conn, subjects ...string) bool {
	ctx, cancel := context.WithTimeout(ctx, discoveryWait)
	defer cancel()
	if nc.FlushWithContext(ctx) != nil {
		return false
	}
	subject, _, denied := natsconn.Denial(nc.LastError())
	return denied != nil && slices.Contains(subjects, subject)
}

// add takes in what one bridge says.
func (s *served) add(data []byte, prefix string) {
	var info micro.Info
	if json.Unmarshal(data, &info) != nil {
		return
	}
	for _, e := range info.Endpoints {
		if !strings.HasPrefix(e.Subject, prefix+".actions.") {
			continue
		}
		if slices.Contains(s.names(), e.Name) {
			continue
		}
		switch e.Metadata["kind"] {
		case "server":
			s.servers = append(s.servers, e.Name)
		case "group":
			s.groups = append(s.groups, e.Name)
		case "all":
			if e.QueueGroup == "" || !s.shared {
				s.ends++
			}
			s.shared = s.shared || e.QueueGroup != ""
		}
	}
}

// prefixOf is what stands before .actions. in a request's subject.
func prefixOf(subject string) string {
	prefix, _, _ := strings.Cut(subject, ".actions.")
	return prefix
}
