package reply

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A reply has what the bridge knows of the Action and what Asterisk said; what
// there is none of is left out.
func TestReply_HasWhatThereIs(t *testing.T) {
	head := Head{Server: "pbx1", Node: "b1", Action: "Ping"}
	whole := Head{
		Server: "pbx1", Node: "b1", Action: "Ping", ActionID: "b1.pbx1.x.1", RequestID: `my "id"`, Stream: &Stream{parts: 3}, Masked: []string{"Password", "Secret"},
	}
	result := &correlation.Result{
		Response: "Success", Message: "m", Fields: []byte(`{"Response":"Success"}`), Events: []byte(`{"Event":"A"},{"Event":"B"}`), Output: []byte(`"a","b"`),
		Duration: 1_234_567,
	}
	for name, test := range map[string]struct {
		h    Head
		r    *correlation.Result
		f    *Error
		want string
	}{
		"refused": {head, nil, &Error{Code: 403, Kind: "forbidden", Sent: "no", Message: "m", Rule: "r"},
			`{"server":"pbx1","node":"b1","action":"Ping","error":{"code":403,"kind":"forbidden","sent":"no","message":"m"}}`},
		"without an answer": {head, &correlation.Result{Duration: 2_000_000}, &Error{Code: 504, Kind: "timeout", Sent: "unknown"},
			`{"server":"pbx1","node":"b1","action":"Ping","duration_ms":2,"error":{"code":504,"kind":"timeout","sent":"unknown"}}`},
		"all": {whole, result, nil, `{"server":"pbx1","node":"b1","action":"Ping","action_id":"b1.pbx1.x.1","request_id":"my \"id\"",
			"response":"Success","message":"m","fields":{"Response":"Success"},"events":[{"Event":"A"},{"Event":"B"}],"output":["a","b"],
			"duration_ms":1.235,"parts":3,"masked":["Password","Secret"]}`},
		"no parts": {Head{Server: "pbx1", Node: "b1", Action: "Ping", Stream: &Stream{}}, &correlation.Result{}, nil,
			`{"server":"pbx1","node":"b1","action":"Ping","duration_ms":0,"parts":0}`},
		"again": {head, nil, &Error{Code: 429, Kind: "busy", Sent: "no", RetryAfter: 100},
			`{"server":"pbx1","node":"b1","action":"Ping","error":{"code":429,"kind":"busy","sent":"no","retry_after_ms":100}}`},
	} {
		var got, want any
		text := Append(nil, test.h, test.r, test.f)
		if err := json.Unmarshal(text, &got); err != nil {
			t.Errorf("%s: %v in %s", name, err, text)
		}
		if err := json.Unmarshal([]byte(test.want), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got): %s", name, diff)
		}
	}
}

// The headers of a message say what it is: an error, a repeat, a part with its
// number, its server and what is hidden in it.
func TestReply_HasHeaders(t *testing.T) {
	s := &Stream{server: "pbx1"}
	for name, test := range map[string]struct {
		r    Message
		want map[string]string
	}{
		"a reply":    {Message{}, map[string]string{}},
		"an error":   {Message{Error: &Error{Code: 504, Kind: "timeout", Message: "m"}}, map[string]string{"Nats-Service-Error": "timeout: m", "Nats-Service-Error-Code": "504"}},
		"a repeat":   {Message{Repeat: true}, map[string]string{"Ami-Idempotent-Replay": "true"}},
		"a part":     {Message{part: 7, Stream: s}, map[string]string{"Ami-Part": "7", "Ami-Server": "pbx1"}},
		"the end":    {Message{Stream: s}, map[string]string{}},
		"and masked": {Message{part: 7, Stream: s, masked: []string{"Password", "Secret"}}, map[string]string{"Ami-Part": "7", "Ami-Server": "pbx1", "Ami-Masked": "Password,Secret"}},
	} {
		got := map[string]string{}
		for name, values := range test.r.message().Header {
			got[name] = fmt.Sprint(values[0])
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got): %s", name, diff)
		}
	}
}

// What was queued before the replier ends is published, also what came while it
// was at that.
func TestReplier_EndsOnceNothingWaits(t *testing.T) {
	nc, _ := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	r := NewSender(conntest.Open(t, nc.ConnectedUrl()), zap.NewNop())
	const n = 30
	published := 0
	var next func()
	next = func() {
		if published++; published < n {
			r.Queue(Message{To: "_INBOX.x", Body: []byte("{}"), Done: next})
		}
	}
	r.Queue(Message{To: "_INBOX.x", Body: []byte("{}"), Done: next})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if r.Run(ended); published != n {
		t.Errorf("%d of %d are published", published, n)
	}
}

// What a reply holds is given back once all that waited with it are published: the next
// caller does not wait for what the first one's reply leaves to do.
func TestReplier_PublishesAllBeforeItGivesBack(t *testing.T) {
	nc, _ := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	c := conntest.Open(t, nc.ConnectedUrl())
	r := NewSender(c, zap.NewNop())
	before, first, part := c.Get().Stats().OutMsgs, uint64(0), uint64(0)
	r.Queue(Message{To: "_INBOX.x", Body: []byte("{}"), part: 1, Stream: unpublished(), Done: func() { part = c.Get().Stats().OutMsgs - before }})
	for range 3 {
		r.Queue(Message{To: "_INBOX.x", Body: []byte("{}"), Done: func() {
			if first == 0 {
				first = c.Get().Stats().OutMsgs - before
			}
		}})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if r.Run(ended); first != 4 || part != 1 {
		t.Errorf("%d of 4 are published when the first reply gives back, and %d when the part does, behind which others want room", first, part)
	}
}

// A part that nobody listens to is counted and not sent.
func TestReplier_CountsUnheardParts(t *testing.T) {
	s := unpublished()
	s.unheard.Store(true)
	s.replier.Publish(Message{To: "_INBOX.x", part: 2, Stream: s})
	if s.counts.Unheard.Load() != 1 || s.counts.Published.Load() != 0 || s.counts.Lost.Load() != 0 {
		t.Errorf("%d unheard, %d published, %d lost", s.counts.Unheard.Load(), s.counts.Published.Load(), s.counts.Lost.Load())
	}
}

// A reply that NATS does not take is answered with why.
func TestReplier_SaysWhenAReplyDoesNotFit(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), 0)
	r := NewSender(conntest.Open(t, server.ClientURL()), zap.NewNop())
	nc, _ := natstest.Client(t, server.ClientURL())
	sub, err := nc.SubscribeSync("_INBOX.caller.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	r.Publish(Message{To: "_INBOX.caller.1", Head: Head{Server: "pbx1", Action: "Status"}, Body: make([]byte, 2<<20)})
	msg, err := sub.NextMsg(natstest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	if msg.Header.Get("Nats-Service-Error-Code") != "413" || !strings.Contains(string(msg.Data), `"sent":"yes"`) {
		t.Errorf("got %v %s", msg.Header, msg.Data)
	}
}
