package present

import (
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Names come in a charset, by events as bytes and by lists as text.
func TestCharset(t *testing.T) {
	w := newWorld(t, Options{Charset: frames.Latin1}).skipFirst()
	w.event("Event: Newchannel", strings.ReplaceAll(block("1.1", "0"), "Ann", "J\xf6rg"))
	w.want(t, "channel.1=2E1", map[string]string{"CallerIDName": "Jörg"})
	w.list(Channels, "Event: CoreShowChannel\n"+strings.ReplaceAll(block("1.1", "0"), "Ann", "J\xf6rg"))
	w.want(t, "channel.1=2E1", map[string]string{"Source": "event"})

	contact := func(status string) {
		w.event("Event: ContactStatus", "URI: sip:j@1\nContactStatus: "+status+"\nAOR: J\xf6rg\nEndpointName: j")
	}
	const key = "contact.J=C3=B6rg.sip=3Aj=401"
	contact("Created")
	w.want(t, key, map[string]string{"AOR": "Jörg"})
	w.list(Contacts)
	w.want(t, key, nil)
	contact("Reachable") // its list does not know it
	w.want(t, key, nil)
}

// A queue or a conference is asked for alone by its name in the bytes that Asterisk has it in.
func TestCharset_OfAScope(t *testing.T) {
	w := newWorld(t, Options{Charset: frames.Latin1}).skipFirst()
	const name = "Event: QueueParams\nQueue: B\xfcro\nStrategy: ringall"
	w.list(Queues, name, "Event: QueueMember\nQueue: B\xfcro\nLocation: Local/1")
	w.event("Event: QueueCallerJoin", "Queue: B\xfcro\nPosition: 2\nCount: 2", block("1.1", "6"))
	ask, _ := w.p.Due(w.now)
	if _, value, err := ask.Header(frames.Latin1); ask.Scope != "B\u00fcro" || string(value) != "B\xfcro" || err != nil {
		t.Fatalf("%+v is asked for as %q, %v", ask, value, err)
	}
	if !w.p.Apply(w.listing(ask, name), w.now) {
		t.Fatal("not applied")
	}
	w.want(t, "member.B=C3=BCro.Local=2F1", nil)
	for c, name := range map[frames.Charset]string{frames.Latin1: "\u65e5", frames.UTF8: "B\ufffdro"} {
		if _, value, err := (Ask{Participants, name}).Header(c); err == nil {
			t.Errorf("%q is asked for as %q", name, value)
		}
	}
}
