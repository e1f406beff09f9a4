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
	d := newDuo(t)
	d.writesNothing(func() (wake func()) { d.bridges["b1"].Freeze(); return d.bridges["b1"].Thaw })
}

// Nor does one that runs, and is cut from NATS without an error: it does not know that another
// one leads, and knows that one may.
func TestCutOff_WritesNothingThatItHadQueued(t *testing.T) {
	d := newDuo(t)
	d.writesNothing(d.ways["b1"].stick)
}

// writesNothing has Actions wait at b1, which is silenced until another one leads and, once
// Asterisk reads again, until it may have written them.
func (d *duo) writesNothing(silence func() (wake func())) {
	t := d.t
	t.Helper()
	prefix := d.answers()
	thaw := d.sims[0].FreezeReads()
	defer thaw()
	// More than all sockets hold: 27 MB.
	large := fmt.Sprintf(`{"UserEvent":"Large","Filler":[%s"1"]}`, strings.Repeat(`"`+strings.Repeat("v", 900)+`",`, 120))
	const fill, calls = 250, 20
	var asked []string
	for i := range fill {
		asked = append(asked, fmt.Sprint(prefix, "fill.", i))
		d.ask(asked[i], "pbx1", "UserEvent", large)
	}
	for i := range calls {
		asked = append(asked, fmt.Sprint(prefix, "call.", i))
		d.ask(asked[fill+i], "pbx1", "Originate", phone(fmt.Sprint("Local/", i, "@x")), harness.KeyHeader, fmt.Sprint("k", i))
	}
	audit := harness.JetStream(t, d.nc)
	harness.Eventually(t, "all are waiting to be written, their intents are stored, or refused", func() bool {
		stream, err := audit.Stream(t.Context(), "AMI_AUDIT")
		if err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		return int(stream.CachedInfo().State.Msgs)+len(d.inbox) >= fill+calls
	})
	wake := silence()
	harness.Eventually(t, "b1 is silent for longer than its lead can hold", func() bool { return d.silentFor("b1") > 1500*time.Millisecond })
	thaw()
	harness.Eventually(t, "b2 leads", func() bool { return d.leads("b2") == 2 })
	got, since := 0, time.Now()
	harness.Eventually(t, "Asterisk has read what the sockets held", func() bool {
		if n := d.sims[0].Received("UserEvent"); n != got {
			got, since = n, time.Now()
		}
		return got > 0 && time.Since(since) > time.Second
	})
	wake()
	results := map[string]int{}
	for i, inbox := range asked {
		harness.Eventually(t, "a reply to "+inbox, func() bool { return len(d.to(inbox)) > 0 })
		kind, sent := outcome(t, d.to(inbox)[0])
		results[kind+", "+sent]++
		if i >= fill && (kind != "not_connected" || sent != "no") {
			t.Errorf("call %d, which waited: %s, sent: %s", i-fill, kind, sent)
		}
	}
	t.Logf("Asterisk had got %d of %d; then %v", got, fill, results)
	// At each caller's second try another one rings, once.
	for i := range calls {
		inbox := fmt.Sprint(prefix, "again.", i)
		tries := 0
		harness.Eventually(t, "the call is made", func() bool {
			try := fmt.Sprint(inbox, ".", tries)
			tries++
			d.ask(try, "pbx1", "Originate", phone(fmt.Sprint("Local/", i, "@x")), harness.KeyHeader, fmt.Sprint("k", i))
			harness.Eventually(t, "a reply", func() bool { return len(d.to(try)) > 0 })
			kind, sent := outcome(t, d.to(try)[0])
			if kind != "Success" && sent != "no" {
				t.Fatalf("call %d: %s, sent: %s", i, kind, sent)
			}
			return kind == "Success"
		})
		if n := d.rings(fmt.Sprint("Local/", i, "@x")); n != 1 {
			t.Errorf("call %d rang %d times", i, n)
		}
	}
	said := results["not_connected, no"] - calls
	if n := d.sims[0].Received("UserEvent"); n+said != fill || said == 0 {
		t.Errorf("Asterisk got %d, of %d it is said that they were not sent, of %d in all", n, said, fill)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for inbox, all := range d.inbox {
		if len(all) != 1 {
			t.Errorf("%d replies to %s", len(all), inbox)
		}
	}
}

// A take-over between the write and the answer: who asks again with the key is told at once that
// nobody knows, by the bridge that took over, and no second phone rings. The audit has the intent of
// the one and the repeat at the other.
func TestTakeOver_InTheMiddleOfARequestIsUnknown(t *testing.T) {
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
	var records []string
	stream, err := harness.JetStream(t, d.nc).Stream(t.Context(), "AMI_AUDIT")
	if err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the records", func() bool {
		records = nil
		for seq := uint64(1); ; seq++ {
			m, err := stream.GetMsg(t.Context(), seq)
			if err != nil {
				return len(records) > 1
			}
			var r struct{ Node, Phase, Outcome string }
			if err := json.Unmarshal(m.Data, &r); err != nil {
				t.Fatal(err)
			}
			if m.Subject == "ami.audit.pbx1.Originate" && r.Outcome != "not_connected" {
				records = append(records, strings.TrimSpace(r.Node+" "+r.Phase+" "+r.Outcome))
			}
		}
	})
	if len(records) != 2 || records[0] != "b1 intent" || records[1] != "b2 outcome repeat" {
		t.Errorf("recorded is %q", records)
	}
}
