//go:build unix

package state

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/phone"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// aPhone is a telephone at a real Asterisk, and what the bucket has of it.
type aPhone struct {
	*handled
	*phone.Phone
	board   *harness.Board
	channel string // its technology and name, as the device's
}

// telephone is one at address, of a user of the SIP at a port of Asterisk's.
func (h *handled) telephone(b *harness.Board, address, port, technology, user string) *aPhone {
	h.t.Helper()
	p, err := phone.Listen(address, net.JoinHostPort(h.host(), port), user, user+"pw")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { p.Close() })
	return &aPhone{h, p, b, technology + "/" + user}
}

// host is Asterisk's address.
func (h *handled) host() string {
	host, _, _ := net.SplitHostPort(h.a.Addr())
	return host
}

// does has the phone do something.
func (p *aPhone) does(what func(context.Context) error) {
	p.t.Helper()
	if err := what(p.ctx); err != nil {
		p.t.Fatal(err)
	}
}

// says waits until the bucket has an object of kind, by one of its fields, whose other field says so; none
// at all if that is empty.
func (p *aPhone) says(kind, by, id, field, want string) {
	p.t.Helper()
	harness.Eventually(p.t, fmt.Sprintf("%s %s with %s %q", kind, id, field, want), func() bool {
		last := ""
		for key, value := range p.board.Up() {
			if strings.HasPrefix(key, "pbx1."+kind+".") && value[by] == id {
				last = fmt.Sprint(value[field])
			}
		}
		return last == want
	})
}

// listed waits for a list that has the phone's device: only lists begin devices.
func (p *aPhone) listed() {
	p.t.Helper()
	harness.Succeeds(p.t, p.r.Call("pbx1", "Reload", `{"Module":"res_musiconhold"}`))
	p.says("device", "Device", p.channel, "State", "UNAVAILABLE")
}

// day is what a telephone does: it registers, talks to bob, puts him on hold and off, registers anew
// meanwhile, hangs up and is taken off. After each the lists find nothing to correct.
func (p *aPhone) day(bob *aPhone) {
	p.t.Helper()
	p.does(p.Register)
	p.says("device", "Device", p.channel, "State", "NOT_INUSE")
	p.isRight(p.channel + " registered")

	p.calls++
	id := fmt.Sprintf("p%d.%d", time.Now().UnixNano(), p.calls)
	p.do("Action: Originate", "Async: true", "Channel: "+p.channel, "ChannelId: "+id, "Application: Dial", "Data: "+bob.channel)
	p.does(p.Answered)
	p.does(bob.Answered)
	p.await("Event: BridgeEnter", "Uniqueid: "+id)
	p.says("channel", "Uniqueid", id, "ChannelStateDesc", "Up")
	p.says("device", "Device", p.channel, "State", "INUSE")
	p.isRight(p.channel + " talks")

	p.does(p.Hold)
	p.await("Event: Hold", "Uniqueid: "+id)
	p.says("device", "Device", bob.channel, "State", "ONHOLD") // PJSIP says so of who hears the music
	p.says("extension", "Exten", "101", "StatusText", "Hold")  // bob's hint
	p.isRight(p.channel + " holds")

	p.does(p.Register)
	p.does(p.Unhold)
	p.await("Event: Unhold", "Uniqueid: "+id)
	p.says("device", "Device", bob.channel, "State", "INUSE")
	p.says("extension", "Exten", "101", "StatusText", "InUse")
	p.isRight(p.channel + " talks again, and has registered anew")

	p.does(p.Hangup)
	p.does(bob.Ended)
	p.await("Event: Hangup", "Uniqueid: "+id)
	p.says("device", "Device", p.channel, "State", "NOT_INUSE")
	p.does(p.Unregister)
	p.says("device", "Device", p.channel, "State", "UNAVAILABLE")
	p.isRight(p.channel + " is gone")
}

// carrier has Asterisk register at bob, and no longer. What it began by itself at its start is over first:
// PJSIPRegister takes an earlier registration back before it makes a new one.
func (p *aPhone) carrier() {
	p.t.Helper()
	has := func(action, status string) {
		p.t.Helper()
		p.do("Action: "+action, "Registration: carrier")
		p.says("registration", "ChannelType", "PJSIP", "Status", status)
	}
	has("PJSIPRegister", "Registered")
	has("PJSIPUnregister", "Unregistered")
	p.isRight("no carrier")
	has("PJSIPRegister", "Registered")
	p.isRight("a carrier")
	has("PJSIPUnregister", "Unregistered")
	p.isRight("no carrier again")
}

// A telephone registers, talks, puts on hold and goes; Asterisk registers at another. The bucket says so
// each time, and the lists find nothing to correct two seconds later.
func TestReal_ATelephone(t *testing.T) {
	t.Parallel()
	realasterisk.EachAndNext(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		h := handle(ctx, t, a, harness.NATS(t), "registrations", "devices")
		nc := harness.Client(t, h.url)
		defer nc.Close()
		b := harness.WatchState(t, nc)
		b.Is("pbx1", "live", "b1")
		alice := h.telephone(b, "127.0.0.1:0", "15060", "PJSIP", "alice")
		bob := h.telephone(b, net.JoinHostPort(h.host(), "25060"), "15060", "PJSIP", "bob") // where Asterisk looks for him
		alice.does(alice.Register)
		alice.says("contact", "AOR", "alice", "URI", alice.URI())
		alice.does(alice.Unregister)
		alice.says("contact", "AOR", "alice", "URI", "")
		alice.day(bob)
		if strings.HasPrefix(a.Version(), "16.") { // the last that is tested with chan_sip
			carol := h.telephone(b, "127.0.0.1:0", "15061", "SIP", "carol")
			carol.does(carol.Register) // her device has a state from then on
			carol.does(carol.Unregister)
			carol.listed()
			carol.day(bob)
		}
		bob.carrier()
	})
}
