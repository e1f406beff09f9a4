//go:build unix

package takeover

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// A bridge that was frozen with Actions waiting for an Asterisk that did not read writes none
// of them when it wakes, for another one leads by then: each is replied to once, and where it
// says sent: no Asterisk never got it. What its sockets held when it was frozen Asterisk gets.
func TestFrozen_WritesNothingThatItHadQueued(t *testing.T) {
	t.Parallel()
	d := newDuo(t)
	d.writesNothing(func() (wake func()) { d.bridges["b1"].Freeze(); return d.bridges["b1"].Thaw })
}

// Nor does one that runs, and is cut from NATS without an error: it does not know that another
// one leads, and knows that one may.
func TestCutOff_WritesNothingThatItHadQueued(t *testing.T) {
	t.Parallel()
	d := newDuo(t)
	d.writesNothing(d.ways["b1"].stick)
}

const (
	fill  = 100 // Actions of 108 KB each, 11 MB in all: more than all sockets hold
	calls = 20  // behind them
)

// writesNothing has Actions wait at b1, which is silenced until another one leads and, once
// Asterisk reads again, until it may have written them.
func (d *duo) writesNothing(silence func() (wake func())) {
	d.t.Helper()
	prefix := d.answers()
	thaw := d.sims[0].FreezeReads()
	defer thaw()
	large := fmt.Sprintf(`{"UserEvent":"Large","Filler":[%s"1"]}`, strings.Repeat(`"`+strings.Repeat("v", 900)+`",`, 120))
	fills := d.waiting(prefix+"fill.", fill, func(string) (action, body string) { return "UserEvent", large })
	rings := d.waiting(prefix+"call.", calls, func(inbox string) (action, body string) { return "Originate", phone(inbox) })
	wake, since := silence(), time.Now()
	harness.Eventually(d.t, "b1 is silent for longer than its lead can hold", func() bool { return min(d.silentFor("b1"), time.Since(since)) > 1500*time.Millisecond })
	thaw()
	got := 0
	harness.Eventually(d.t, "b2 leads, and Asterisk has read what the sockets held", func() bool {
		if n := d.sims[0].Received("UserEvent"); n != got {
			got, since = n, time.Now()
		}
		// TCP tries again after a pause that is as long as Asterisk read nothing.
		return got > 0 && time.Since(since) > time.Second && d.leads("b2") == 2
	})
	wake()
	said := 0
	for _, inbox := range fills {
		if _, sent := d.outcome(inbox); sent == "no" {
			said++
		}
	}
	for _, inbox := range rings {
		if kind, sent := d.outcome(inbox); kind != "not_connected" || sent != "no" {
			d.t.Errorf("%s, which waited: %s, sent: %s", inbox, kind, sent)
		}
	}
	d.t.Logf("Asterisk had got %d of %d; then it is said of %d that they were not sent", got, len(fills), said)
	d.ringsAgain(prefix+"again.", rings)
	if n := d.sims[0].Received("UserEvent"); n+said != len(fills) || said == 0 {
		d.t.Errorf("Asterisk got %d, of %d it is said that they were not sent, of %d in all", n, said, len(fills))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for inbox, all := range d.inbox {
		if len(all) != 1 {
			d.t.Errorf("%d replies to %s", len(all), inbox)
		}
	}
}

// waiting has so many Actions wait to be written at pbx1, which reads nothing, each with a key,
// and returns where the replies come to all that it has asked for: b1 may be silent for a moment
// on a slow machine, and refuses some.
func (d *duo) waiting(prefix string, n int, of func(inbox string) (action, body string)) (asked []string) {
	d.t.Helper()
	audit := harness.JetStream(d.t, d.nc)
	stored := func() int {
		stream, err := audit.Stream(d.t.Context(), "AMI_AUDIT")
		if err != nil {
			d.t.Fatal(err)
		}
		return int(stream.CachedInfo().State.Msgs)
	}
	for wait := 0; wait < n; {
		inbox, before := fmt.Sprint(prefix, len(asked)), stored()
		asked = append(asked, inbox)
		action, body := of(inbox)
		d.ask(inbox, "pbx1", action, body, harness.KeyHeader, inbox)
		harness.Eventually(d.t, "its intent is stored, or it is refused", func() bool { return len(d.to(inbox)) > 0 || stored() > before })
		if len(d.to(inbox)) == 0 {
			wait++
		}
	}
	return asked
}

// outcome is that of the reply to inbox, once it has come.
func (d *duo) outcome(inbox string) (kind, sent string) {
	d.t.Helper()
	harness.Eventually(d.t, "a reply to "+inbox, func() bool { return len(d.to(inbox)) > 0 })
	return outcome(d.t, d.to(inbox)[0])
}

// ringsAgain has each call be asked for again with its key, which rings once.
func (d *duo) ringsAgain(prefix string, rings []string) {
	d.t.Helper()
	for i, channel := range rings {
		tries := 0
		harness.Eventually(d.t, "the call is made", func() bool {
			try := fmt.Sprint(prefix, i, ".", tries)
			tries++
			d.ask(try, "pbx1", "Originate", phone(channel), harness.KeyHeader, channel)
			kind, sent := d.outcome(try)
			if kind != "Success" && sent != "no" {
				d.t.Fatalf("%s: %s, sent: %s", channel, kind, sent)
			}
			return kind == "Success"
		})
		if n := d.rings(channel); n != 1 {
			d.t.Errorf("%s rang %d times", channel, n)
		}
	}
}

// A take-over between the write and the answer: who asks again with the key is told at once that
// nobody knows, by the bridge that took over, and no second phone rings. The audit has the intent of
// the one and the repeat at the other.
func TestTakeOver_InTheMiddleOfARequestIsUnknown(t *testing.T) {
	t.Parallel()
	d := newDuo(t)
	prefix := d.answers()
	came := harness.Hold(t, d.sims[0], "Originate")
	var held harness.Held
	first, asks := "", 0
	harness.Eventually(t, "the call", func() bool { // b1 may have been silent for a moment
		if first == "" || len(d.to(first)) > 0 {
			first, asks = fmt.Sprint(prefix, "first.", asks), asks+1
			d.ask(first, "pbx1", "Originate", phone("Local/1@x"), harness.KeyHeader, "k1")
		}
		select {
		case held = <-came:
			return true
		default:
			return false
		}
	})
	d.bridges["b1"].Kill()
	harness.Eventually(t, "b2 leads", func() bool { return d.leads("b2") == 2 })
	close(held.Release)
	began, tries, last := time.Now(), 0, ""
	harness.Eventually(t, "b2 knows", func() bool {
		last = fmt.Sprint(prefix, "again.", tries)
		tries++
		d.ask(last, "pbx1", "Originate", phone("Local/1@x"), harness.KeyHeader, "k1")
		harness.Eventually(t, "a reply", func() bool { return len(d.to(last)) > 0 })
		_, sent := outcome(t, d.to(last)[0])
		return sent != "no" // else nobody takes it yet
	})
	kind, sent := outcome(t, d.to(last)[0])
	if kind != "timeout" || sent != "unknown" || d.to(last)[0].Header.Get("Ami-Idempotent-Replay") != "true" {
		t.Errorf("asked again: %s, sent: %s", kind, sent)
	}
	t.Logf("known after %v", time.Since(began).Round(time.Millisecond))
	if n := d.sims[0].Received("Originate"); n != 1 || len(d.to(first)) != 0 {
		t.Errorf("Asterisk got %d, the first has %d replies", n, len(d.to(first)))
	}
	records := d.recorded("ami.audit.pbx1.Originate", 2)
	if len(records) != 2 || records[0] != "b1 intent" || records[1] != "b2 outcome repeat" {
		t.Errorf("recorded is %q", records)
	}
}

// recorded is what the audit has on that subject, once there is so much: who recorded what. What
// was refused because another bridge leads is left out.
func (d *duo) recorded(subject string, want int) (records []string) {
	d.t.Helper()
	stream, err := harness.JetStream(d.t, d.nc).Stream(d.t.Context(), "AMI_AUDIT")
	if err != nil {
		d.t.Fatal(err)
	}
	harness.Eventually(d.t, "the records", func() bool {
		records = nil
		for seq := uint64(1); ; seq++ {
			m, err := stream.GetMsg(d.t.Context(), seq)
			if err != nil {
				return len(records) >= want
			}
			var r struct{ Node, Phase, Outcome string }
			if err := json.Unmarshal(m.Data, &r); err != nil {
				d.t.Fatal(err)
			}
			if m.Subject == subject && r.Outcome != "not_connected" {
				records = append(records, strings.TrimSpace(r.Node+" "+r.Phase+" "+r.Outcome))
			}
		}
	})
	return records
}
