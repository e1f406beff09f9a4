package harness

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Subscribe returns a subscription without a bound, which NATS knows of when it
// returns.
func (r *Running) Subscribe(subject string) *nats.Subscription {
	r.T.Helper()
	sub, err := r.Client.SubscribeSync(subject)
	if err != nil {
		r.T.Fatal(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		r.T.Fatal(err)
	}
	if err := r.Client.FlushTimeout(Patience); err != nil {
		r.T.Fatal(err)
	}
	return sub
}

// Next returns the next message, but for a state of a session or breaker that
// is told again at an interval: it is no step.
func (r *Running) Next(sub *nats.Subscription) *nats.Msg {
	r.T.Helper()
	for deadline := time.Now().Add(Patience); ; {
		msg, err := sub.NextMsg(time.Until(deadline))
		if err != nil {
			r.T.Fatalf("%s: %v", sub.Subject, err)
		}
		if !repeats(msg) {
			return msg
		}
	}
}

func repeats(msg *nats.Msg) bool {
	return bytes.Contains(msg.Data, []byte(`"trigger":"interval","since":`))
}

// Pending returns what has come.
func (r *Running) Pending(sub *nats.Subscription) (all []*nats.Msg) {
	r.T.Helper()
	n, _, err := sub.Pending()
	for range n {
		var msg *nats.Msg
		if msg, err = sub.NextMsg(time.Second); err != nil {
			break
		}
		all = append(all, msg)
	}
	if err != nil {
		r.T.Fatalf("%s: %v", sub.Subject, err)
	}
	return all
}

// Changes returns how many have come of what Next returns.
func (r *Running) Changes(states *nats.Subscription) int {
	r.T.Helper()
	return len(slices.DeleteFunc(r.Pending(states), repeats))
}

// AwaitText returns the next message that holds text.
func (r *Running) AwaitText(sub *nats.Subscription, text string) *nats.Msg {
	r.T.Helper()
	for deadline := time.Now().Add(Patience); ; {
		msg := r.Next(sub)
		if bytes.Contains(msg.Data, []byte(text)) {
			return msg
		}
		if time.Now().After(deadline) {
			r.T.Fatalf("%s: %q never came, at last %s", sub.Subject, text, msg.Data)
		}
	}
}

// AwaitMessage waits for a message with all of texts.
func (r *Running) AwaitMessage(sub *nats.Subscription, texts ...string) {
	r.T.Helper()
	for deadline := time.Now().Add(Patience); ; {
		msg, err := sub.NextMsg(time.Until(deadline))
		if err != nil {
			r.T.Fatalf("%s: no %q: %v", sub.Subject, texts, err)
		}
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(string(msg.Data), text) }) {
			return
		}
	}
}

// Change is ami.status.<server>.connection.
type Change struct{ Server, Role, From, To, Session, Reason string }

// SessionLost says that a session that was up is lost, for Await.
func SessionLost(c Change) bool { return c.From == "up" && c.To == "waiting" }

// SessionUp says that a session has come up, for Await.
func SessionUp(c Change) bool { return c.To == "up" }

// Await waits until such a change has come of n of the servers' sessions, and
// returns them by server and role.
func (r *Running) Await(states *nats.Subscription, n int, such func(Change) bool) map[string]Change {
	r.T.Helper()
	found := map[string]Change{}
	deadline := time.Now().Add(Patience)
	for len(found) < n {
		var c Change
		if time.Now().After(deadline) {
			r.T.Fatalf("only of %v, not of %d sessions", found, n)
		}
		if err := json.Unmarshal(r.Next(states).Data, &c); err != nil {
			r.T.Fatal(err)
		}
		if such(c) {
			found[c.Server+" "+c.Role] = c
			deadline = time.Now().Add(Patience)
		}
	}
	return found
}
