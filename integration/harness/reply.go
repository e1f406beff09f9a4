package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// Reply is the body of an action's reply.
type Reply struct {
	Server, Node, Action string
	ActionID             string `json:"action_id"`
	RequestID            string `json:"request_id"`
	Response, Message    string
	Fields               map[string]any
	Events               []map[string]any
	Output               []string
	Parts                int
	Masked               []string
	Error                *struct {
		Code       int
		Kind, Sent string
		Message    string
		RetryAfter int64 `json:"retry_after_ms"`
	}
	Header nats.Header `json:"-"`
}

// Call asks for an action with a body and headers given as pairs.
func (r *Running) Call(server, action, body string, headers ...string) Reply {
	r.T.Helper()
	msg := nats.NewMsg("ami.actions." + server + "." + action)
	msg.Data = []byte(body)
	for i := 0; i < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	answer, err := r.Client.RequestMsg(msg, Patience)
	if err != nil {
		r.T.Fatalf("%s: %v", msg.Subject, err)
	}
	var got Reply
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		r.T.Fatalf("%s: %v in %.200s", msg.Subject, err, answer.Data)
	}
	got.Header = answer.Header
	return got
}

// Ask sends a request and returns where its replies come, without waiting.
func (r *Running) Ask(server, action, body string, headers ...string) *nats.Subscription {
	r.T.Helper()
	replies := r.Subscribe(r.Client.NewInbox())
	msg := nats.NewMsg("ami.actions." + server + "." + action)
	msg.Reply, msg.Data = replies.Subject, []byte(body)
	for i := 0; i < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	if err := errors.Join(r.Client.PublishMsg(msg), r.Client.FlushTimeout(Patience)); err != nil {
		r.T.Fatal(err)
	}
	return replies
}

// Answer waits for the next reply.
func (r *Running) Answer(replies *nats.Subscription) Reply {
	r.T.Helper()
	return ParseReply(r.T, r.Next(replies))
}

// ParseReply reads a reply that came.
func ParseReply(t testing.TB, msg *nats.Msg) Reply {
	t.Helper()
	var got Reply
	if err := json.Unmarshal(msg.Data, &got); err != nil {
		t.Fatalf("%v in %.200s", err, msg.Data)
	}
	got.Header = msg.Header
	return got
}

// NoMore wants that nothing else came to replies. What Asterisk sent before it
// answers a Ping is through when the answer is.
func (r *Running) NoMore(server string, replies ...*nats.Subscription) {
	r.T.Helper()
	if got := r.Call(server, "Ping", ""); got.Error != nil {
		r.T.Errorf("Ping: %+v", got.Error)
	}
	for _, sub := range replies {
		if n, _, err := sub.Pending(); n != 0 || err != nil {
			r.T.Errorf("%d more replies to one request (%v)", n, err)
		}
	}
}

// Fails wants a reply with an error of that kind, or the test ends.
func Fails(t *testing.T, got Reply, kind, sent string) {
	t.Helper()
	if got.Error == nil || got.Error.Kind != kind || got.Error.Sent != sent {
		t.Fatalf("%s: response %q, error %+v, want %s with sent %s", got.Action, got.Response, got.Error, kind, sent)
	}
}

// Succeeds wants a reply without an error.
func Succeeds(t *testing.T, got Reply) {
	t.Helper()
	if got.Error != nil || got.Response != "Success" {
		t.Errorf("%s: response %q, error %+v", got.Action, got.Response, got.Error)
	}
}

// Send requests an action of pbx1 without waiting; the reply goes to inbox.
func (r *Running) Send(inbox, action, body string) {
	r.T.Helper()
	if err := r.Client.PublishRequest("ami.actions.pbx1."+action, inbox, []byte(body)); err != nil {
		r.T.Fatal(err)
	}
}

// IsError wants a reply with that error in its body and in the headers of a NATS
// service.
func IsError(t *testing.T, got Reply, code int, kind, sent string) {
	t.Helper()
	Fails(t, got, kind, sent)
	text, number := got.Header.Get("Nats-Service-Error"), got.Header.Get("Nats-Service-Error-Code")
	if got.Error.Code != code || number != fmt.Sprint(code) || text != kind+": "+got.Error.Message {
		t.Errorf("%s: error %+v with the headers %q, %q, want %d", got.Action, got.Error, text, number, code)
	}
}

// Stopping has the bridge shut down while it waits for one action.
func Stopping(t *testing.T, sim *amisim.Server, r *Running) func() {
	held := Hold(t, sim, "CoreSettings")
	pending := r.Ask("pbx1", "CoreSettings", "")
	h := Within(t, "the first action", held)
	stopped := make(chan error, 1)
	go func() { stopped <- r.Stop() }()
	Eventually(t, "it shuts down", func() bool {
		got := r.Call("pbx1", "ListCommands", "", "Ami-Timeout", "1ms")
		return got.Error != nil && got.Error.Kind == "shutting_down"
	})
	return func() {
		h.Release <- ""
		Succeeds(t, r.Answer(pending))
		if err := Within(t, "the end", stopped); err != nil {
			t.Errorf("the bridge ended with: %v", err)
		}
	}
}

// Everyone reads the replies to one request up to the empty end.
func Everyone(r *Running, replies *nats.Subscription) (byServer map[string]Reply, end *nats.Msg) {
	r.T.Helper()
	byServer = map[string]Reply{}
	for {
		msg := r.Next(replies)
		if len(msg.Data) == 0 {
			return byServer, msg
		}
		got := ParseReply(r.T, msg)
		byServer[got.Server] = got
	}
}

// Streamed reads the parts of a reply, which must be numbered without gaps,
// and the reply behind them.
func Streamed(r *Running, replies *nats.Subscription, part func(map[string]any)) (parts int, last Reply) {
	r.T.Helper()
	for {
		msg := r.Next(replies)
		number := msg.Header.Get("Ami-Part")
		if number == "" {
			return parts, ParseReply(r.T, msg)
		}
		if parts++; number != strconv.Itoa(parts) || msg.Header.Get("Ami-Server") != "pbx1" {
			r.T.Fatalf("part %d has %v", parts, msg.Header)
		}
		var body map[string]any
		if err := json.Unmarshal(msg.Data, &body); err != nil {
			r.T.Fatalf("%v in %.200s", err, msg.Data)
		}
		part(body)
	}
}

// KeyHeader is the header of a request that is to be done once.
const KeyHeader = "Ami-Idempotency-Key"

// Phone is the body of an Originate.
const Phone = `{"Channel":"Local/1@x","Exten":"1","Context":"x","Priority":"1"}`

// Repeated wants that got is the outcome of first, told again.
func Repeated(t *testing.T, first, got Reply) {
	t.Helper()
	if got.ActionID != first.ActionID || got.Response != first.Response || got.Header.Get("Ami-Idempotent-Replay") != "true" {
		t.Errorf("a repeat got %+v %+v with %v, the first %+v", got, got.Error, got.Header, first)
	}
}

// SessionOf is the part of a reply's ActionID that names its session.
func SessionOf(r Reply) string {
	parts := strings.Split(r.ActionID, ".")
	return parts[max(0, len(parts)-2)]
}
