package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// aCall is a call of pbx1 among others: began is when, in whole seconds.
func (b *bench) aCall(began time.Time, linkedid string) {
	b.t.Helper()
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	say := func(s int, name, own string) {
		b.n++
		b.event("pbx1", name, fmt.Sprintf("s:%d", b.n), at(s), fmt.Sprintf(`{"Event":%q,%s}`, name, own))
	}
	caller := fmt.Sprintf(`"Channel":"PJSIP/a-1","Uniqueid":%q,"Linkedid":%q`, linkedid, linkedid)
	called := fmt.Sprintf(`"Channel":"PJSIP/b-2","Uniqueid":"%s9","Linkedid":%q`, linkedid, linkedid)
	say(0, "Newchannel", caller)
	say(1, "Newchannel", called)
	say(5, "BridgeEnter", caller+`,"BridgeUniqueid":"br"`)
	say(30, "Hangup", caller)
	say(31, "Hangup", called)
	say(32, "BridgeDestroy", `"BridgeUniqueid":"br"`)
}

// noise stores some events a second of each of servers, for some time.
func (b *bench) noise(from time.Time, lasts time.Duration, each int, servers ...string) {
	b.t.Helper()
	for at := from; at.Before(from.Add(lasts)); at = at.Add(time.Second) {
		for _, server := range servers {
			for i := range each {
				name := [...]string{"Newexten", "VarSet", "Newchannel", "RTCPSent", "Hangup"}[i%5]
				b.tick(server, name, at)
			}
		}
	}
}

// readCall returns a call's events and how many messages were read for it.
func (b *bench) readCall(linkedid string, sel Selection) (got string, read int) {
	b.t.Helper()
	sel.Prefix, sel.Kind = "ami", "events"
	var names []string
	err := b.source("AMI_EVENTS").ReadCall(b.t.Context(), sel, NewCall(linkedid), func(Progress) { read++ }, func(e *Event) error {
		names = append(names, e.Server+"."+e.Name)
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.Join(names, " "), read
}

const wholeCall = "pbx1.Newchannel pbx1.Newchannel pbx1.BridgeEnter pbx1.Hangup pbx1.Hangup pbx1.BridgeDestroy"

// What is read for a call is what its server said while it lasted, and some first
// channels of others, whatever the stream holds before and after.
func TestReadCall_ReadsNoMoreThanTheCallLasts(t *testing.T) {
	b := newBench(t)
	began := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	id := func(at time.Time) string { return fmt.Sprintf("pbx-%d.42", at.Unix()) }
	b.noise(began.Add(-20*time.Minute), 20*time.Minute, 5, "pbx1")
	b.aCall(began, id(began))
	b.noise(began.Add(32*time.Second), 40*time.Minute, 5, "pbx1", "pbx2")
	const stored = 20*60*5 + 6 + 40*60*10
	got, read := b.readCall(id(began), Selection{})
	// A stream of the test's own has stored all of it now, so that the beginning is
	// read; and twice what came in the linger after the call.
	if most := 20*60 + 300 + 2*60; got != wholeCall || read > most {
		t.Errorf("%s\n%d messages of %d read, want at most %d", got, read, stored, most)
	}
	// From a time that is given it looks no further than it has to.
	if got, read := b.readCall(id(began), Selection{From: began.Add(-time.Minute)}); got != wholeCall || read > 20*60+300+6*60*2+2*60 {
		t.Errorf("from a time: %s, %d messages of %d read", got, read, stored)
	}
	// One that is not there: what its first minute may hold is read as well.
	if got, read := b.readCall(id(began.Add(5*time.Second)), Selection{}); got != "" || read > 13_000 {
		t.Errorf("not there: %s, %d messages of %d read", got, read, stored)
	}
	// Asterisk's clock is two minutes off.
	late := began.Add(41 * time.Minute)
	b.aCall(late, id(late.Add(-2*time.Minute)))
	if got, read := b.readCall(id(late.Add(-2*time.Minute)), Selection{}); got != wholeCall || read > 13_000 {
		t.Errorf("with a clock that is off: %s, %d messages of %d read", got, read, stored)
	}
}

// Another bridge's clock is ahead, and so was that of the call's own for a moment: the call is
// found, and whole.
func TestReadCall_AClockThatIsAhead(t *testing.T) {
	b := newBench(t)
	began := time.Now().Truncate(time.Second)
	id := fmt.Sprintf("%d.42", began.Unix())
	b.tick("pbx1", "Newchannel", began)
	b.tick("pbx2", "Newchannel", began.Add(3*time.Hour))
	b.event("pbx1", "Newchannel", "s:101", began, fmt.Sprintf(`{"Event":"Newchannel","Uniqueid":%q,"Linkedid":%q}`, id, id))
	b.tick("pbx1", "VarSet", began.Add(3*time.Hour))
	b.event("pbx1", "Hangup", "s:103", began.Add(9*time.Second), fmt.Sprintf(`{"Event":"Hangup","Uniqueid":%q,"Linkedid":%q}`, id, id))
	if got, _ := b.readCall(id, Selection{}); got != "pbx1.Newchannel pbx1.Hangup" {
		t.Errorf("of the call: %q", got)
	}
	if got, _ := b.readCall(id, Selection{To: began.Add(time.Hour)}); got != "pbx1.Newchannel pbx1.Hangup" {
		t.Errorf("of the call before: %q", got)
	}
}

// A call that is up goes to the end of what there is; one whose Hangup is missing
// ends where nothing is heard of it for long, and soon after a Gap.
func TestReadCall_WithoutItsEnd(t *testing.T) {
	b := newBench(t)
	began := time.Now().Add(-5 * time.Hour).Truncate(time.Second)
	id := fmt.Sprintf("%d.42", began.Unix())
	b.event("pbx1", "Newchannel", "s:1", began, fmt.Sprintf(`{"Uniqueid":%q,"Linkedid":%q}`, id, id))
	for i := range 10 {
		b.tick("pbx1", "VarSet", began.Add(time.Duration(i)*time.Minute))
	}
	if got, read := b.readCall(id, Selection{}); got != "pbx1.Newchannel" || read != 1+11+11 {
		t.Errorf("up: %s, %d read", got, read)
	}
	b.event("pbx1", "Gap", "s:0", began.Add(10*time.Minute), `{"Event":"Gap","Lost":"3"}`)
	b.noise(began.Add(10*time.Minute), 10*time.Minute, 1, "pbx1")
	if got, read := b.readCall(id, Selection{}); got != "pbx1.Newchannel pbx1.Gap" || read > 40 {
		t.Errorf("after a Gap: %s, %d read", got, read)
	}
}

// A call of which something is heard behind a Gap is not over.
func TestReadCall_GoesOnBehindAGap(t *testing.T) {
	b := newBench(t)
	began := time.Now().Add(-5 * time.Hour).Truncate(time.Second)
	id := fmt.Sprintf("%d.42", began.Unix())
	say := func(minutes int, name string) {
		b.event("pbx1", name, "s:1", began.Add(time.Duration(minutes)*time.Minute), fmt.Sprintf(`{"Uniqueid":%q,"Linkedid":%q}`, id, id))
	}
	say(0, "Newchannel")
	b.event("pbx1", "Gap", "s:0", began.Add(time.Minute), `{"Event":"Gap","Lost":"3"}`)
	say(2, "Hold")
	b.tick("pbx1", "VarSet", began.Add(40*time.Minute))
	say(60, "Hangup")
	if got, _ := b.readCall(id, Selection{}); got != "pbx1.Newchannel pbx1.Gap pbx1.Hold pbx1.Hangup" {
		t.Error(got)
	}
}

// A channel that joins is of the call, and the call goes on until it hangs up too.
func TestReadCall_LastsAsLongAsAChannelOfIts(t *testing.T) {
	b := newBench(t)
	began := time.Now().Add(-time.Hour).Truncate(time.Second)
	id := fmt.Sprintf("%d.42", began.Unix())
	say := func(after int, name, uniqueid, linkedid string) {
		b.event("pbx1", name, "s:1", began.Add(time.Duration(after)*time.Second), fmt.Sprintf(`{"Uniqueid":%q,"Linkedid":%q}`, uniqueid, linkedid))
	}
	say(0, "Newchannel", id, id)
	say(10, "Newchannel", "other", "other")
	say(20, "BridgeEnter", "other", id)
	say(30, "Hangup", id, id)
	say(90, "VarSet", "other", id)
	say(100, "Hangup", "other", "old") // an Asterisk before 12 names no Linkedid
	say(120, "VarSet", id, id)
	if got, _ := b.readCall(id, Selection{}); got != "pbx1.Newchannel pbx1.Newchannel pbx1.BridgeEnter pbx1.Hangup pbx1.VarSet pbx1.Hangup" {
		t.Error(got)
	}
}
