package view

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func (w *watched) put(key string, value fields) {
	w.t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		w.t.Fatal(err)
	}
	before := w.ignored
	w.State(key, raw, w.now)
	if w.ignored != before {
		w.t.Fatalf("the Model ignores %s %s", key, raw)
	}
}

func (w *watched) end(key string) { w.State(key, nil, w.now) }

func (w *watched) live(server string) {
	w.t.Helper()
	w.up(server)
	w.put(server+".server", fields{"state": "live", "since": text(w.now)})
}

func (w *watched) call(server, queue, id, number string, position int) {
	w.t.Helper()
	w.put(server+".channel."+id, fields{"Channel": "PJSIP/trunk-" + id, "ChannelStateDesc": "Up", "CallerIDNum": number, "Linkedid": id, "Since": text(w.now)})
	w.put(server+".caller."+queue+"."+id, fields{"Queue": queue, "Position": fmt.Sprint(position), "CallerIDNum": number, "Since": text(w.now)})
}

func (w *watched) member(server, queue, name string, status int, more ...fields) {
	w.t.Helper()
	w.put(server+".member."+queue+".PJSIP=2F"+strings.ReplaceAll(name, " ", "=20"), fields{
		"Queue": queue, "Interface": "PJSIP/" + name, "MemberName": name, "Status": fmt.Sprint(status), "Paused": "0", "InCall": "0", "LastCall": "0", "At": text(w.now),
	}.with(more...))
}

func (w *watched) queue(name string) *Queue {
	w.t.Helper()
	for _, q := range w.snapshot().Floor.Queues {
		if q.Name == name {
			return &q
		}
	}
	w.t.Fatalf("no queue %s", name)
	return nil
}

func TestFloor_Queues(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.live("pbx1")
	w.put("pbx1.queue.vip", fields{"Queue": "vip", "Strategy": "ringall", "Calls": "0"})
	w.call("pbx1", "support", "1796004193=2E1", "+49301234567", 1)
	w.pass(time.Minute)
	w.call("pbx1", "support", "1796004193=2E2", "anonymous", 2)
	for i, status := range []int{1, 1, 2, 3, 7, 8, 6, 4, 5, 0} {
		w.member("pbx1", "support", fmt.Sprintf("Agent %d", i), status)
	}
	w.member("pbx1", "support", "Agent 1", 1, fields{"Paused": "1", "PausedReason": "lunch"})
	w.pass(time.Second)
	w.up("pbx1")
	q := w.queue("support")
	equal(t, "waiting", q.Waiting, 2)
	equal(t, "longest", q.Wait(w.now), 61*time.Second)
	equal(t, "first", q.Callers[0].Number, "…4567")
	equal(t, "second", q.Callers[1].Number, "anonymous")
	equal(t, "members", fmt.Sprint(q.Free, q.Talking, q.Ringing, q.Paused, q.Away), "1 4 1 1 3")
	f := w.snapshot().Floor
	equal(t, "sums", fmt.Sprint(f.Waiting, f.Calls, f.Free, f.Talking, f.Ringing, f.Paused, f.Away), "2 2 1 4 1 1 3")
	equal(t, "calls in the totals", *w.snapshot().Totals.Calls, 2)
	equal(t, "waiting of the server", w.of("pbx1").Present.Waiting, 2)
	equal(t, "an empty queue's wait", w.queue("vip").Wait(w.now), 0)

	w.end("pbx1.caller.support.1796004193=2E1")
	w.end("pbx1.channel.1796004193=2E1")
	w.end("pbx1.channel.never")
	equal(t, "waiting after one has left", w.queue("support").Waiting, 1)
	equal(t, "calls after one has ended", w.of("pbx1").Present.Calls, 1)
}

// A call with many channels is one call; channels that say the same again change nothing.
func TestFloor_CallsAreDistinct(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.live("pbx1")
	for range 3 {
		for _, id := range []string{"1", "2", "3"} {
			w.put("pbx1.channel."+id, fields{"Linkedid": "1", "Uniqueid": id})
		}
	}
	w.put("pbx1.channel.9", fields{"Channel": "PJSIP/a"}) // an id is better than none
	equal(t, "calls", w.of("pbx1").Present.Calls, 2)
	w.put("pbx1.channel.3", fields{"Linkedid": "9"}) // a transfer
	w.end("pbx1.channel.1")
	equal(t, "calls after a transfer", w.of("pbx1").Present.Calls, 2)
	w.end("pbx1.channel.2")
	equal(t, "calls after two ends", w.of("pbx1").Present.Calls, 1)
}

// An agent is one, in whatever number of queues. Paused wins over free, talking over
// paused.
func TestFloor_Agents(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.live("pbx1")
	last := fmt.Sprint(w.now.Add(-465 * time.Second).Unix())
	w.member("pbx1", "orders", "Sam Okafor", 1, fields{"LastCall": last, "At": text(w.now.Add(-time.Hour))})
	w.member("pbx1", "vip", "Sam Okafor", 1, fields{"At": text(w.now.Add(-time.Hour))})
	w.member("pbx1", "orders", "Kim Berger", 1)
	w.member("pbx1", "vip", "Kim Berger", 1, fields{"Paused": "1", "PausedReason": "lunch"})
	w.member("pbx1", "orders", "Can Yilmaz", 2, fields{"Paused": "1"})
	w.member("pbx1", "vip", "Can Yilmaz", 2, fields{"InCall": "1"})
	w.member("pbx1", "vip", "Ines Faber", 6)
	w.member("pbx1", "vip", "Finn Adler", 5)
	w.put("pbx1.member.vip.Local=2F4711=40agents", fields{"Status": "1"})
	w.pass(time.Second)
	w.member("pbx1", "vip", "Can Yilmaz", 2, fields{"InCall": "1", "CallsTaken": "3"}) // nothing new
	var got []string
	for _, a := range w.snapshot().Floor.Agents {
		got = append(got, fmt.Sprintf("%s %s %s %s %s", a.Name, a.State, w.now.Sub(a.Since.Time), a.Queue, a.Reason))
	}
	want := "Ines Faber ringing 1s  |Local/4711@agents free 1s  |Sam Okafor free 7m46s  |Can Yilmaz talking 1s vip |Kim Berger paused 1s  lunch|Finn Adler not reachable 1s  "
	equal(t, "agents", strings.Join(got, "|"), want)
}

// What is stale is frozen, says as of when, and is in no sum.
func TestFloor_Stale(t *testing.T) {
	t.Parallel()
	for name, become := range map[string]func(w *watched){
		"the bridge says so":     func(w *watched) { w.put("pbx2.server", fields{"state": "stale", "since": text(w.now)}) },
		"its key has run out":    func(w *watched) { w.end("pbx2.server") },
		"nothing is heard of it": func(w *watched) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			w.live("pbx1")
			w.live("pbx2")
			for _, server := range []string{"pbx1", "pbx2"} {
				w.call(server, "q"+server, "1", "4711", 1)
				w.member(server, "q"+server, "Ann", 1)
			}
			w.pass(10 * time.Second)
			w.up("pbx2")
			become(w)
			asOf := w.now
			w.pass(16 * time.Second)
			w.up("pbx1")
			f := w.snapshot().Floor
			equal(t, "sums", fmt.Sprint(f.Waiting, f.Calls, f.Free), "1 1 1")
			equal(t, "stale", len(f.Stale), 1)
			equal(t, "whose", f.Stale[0].Server, "pbx2")
			q := w.queue("qpbx2")
			same(t, "as of", q.AsOf, asOf)
			equal(t, "its numbers", fmt.Sprint(q.Waiting, q.Free), "1 1")
			equal(t, "its wait does not grow", q.Wait(w.now), 10*time.Second)
			p := w.of("pbx2").Present
			equal(t, "state", p.State, "stale")
			same(t, "as of", p.AsOf, asOf)
			totals := w.snapshot().Totals
			equal(t, "totals", fmt.Sprint(*totals.Calls, *totals.Waiting), "1 1")
			if name != "nothing is heard of it" {
				w.put("pbx2.server", fields{"state": "live"})
			}
			w.up("pbx2")
			equal(t, "sums, live again", w.snapshot().Floor.Waiting, 2)
		})
	}
}

// What is up at a server is by its bridge's clock: how long somebody waits, or does what he does, is not longer or shorter because
// the clock of who reads is off.
func TestFloor_ClocksThatAreOff(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		w := watch(t)
		ours := w.now
		at := func(d time.Duration) { w.now = ours.Add(off + d) } // of the bridge
		say := func() {                                           // what it says comes by our clock
			made := text(w.now)
			w.now = w.now.Add(-off)
			w.node("b1", []string{"pbx1"}, fields{"at": made})
			w.tell("pbx1", "connection", fields{"at": made, "since": made, "role": "event", "to": "up", "sessions": fields{"event": "up"}})
		}
		at(0)
		since := text(w.now)
		say()
		w.State("pbx1.server", marshal(fields{"state": "live", "since": since}), w.now)
		w.State("pbx1.channel.1", marshal(fields{"Linkedid": "1", "Since": since}), w.now)
		w.State("pbx1.caller.q.1", marshal(fields{"Queue": "q", "Since": since}), w.now)
		w.State("pbx1.member.q.PJSIP=2FAnn", marshal(fields{"Queue": "q", "Interface": "PJSIP/Ann", "Status": "1", "At": since}), w.now)
		at(10 * time.Second)
		say()
		f, calls := w.snapshot().Floor, first(w.Calls("pbx1", NumbersNone))
		for what, got := range map[string]Time{"longest": f.Longest, "of the queue": f.Queues[0].Longest, "the caller": f.Queues[0].Callers[0].Since, "the agent": f.Agents[0].Since,
			"the server": w.of("pbx1").Present.Longest, "the call": calls[0].Since} {
			same(t, fmt.Sprint(what, ", off by ", off), got, ours)
		}
		equal(t, "the sums", w.FloorSums(w.now, w.now)["pbx1"].Queues[0].Longest, 10*time.Second)
		w.pass(time.Minute)
		w.end("pbx1.server")
		same(t, "stale", w.of("pbx1").Present.AsOf, w.now)
	}
}

func first[T any](all T, _ int) T { return all }

// What is not all known is said to be so, of each server by which the sums may be too small: while its lists are under way, and
// where one did not come, or not whole. What is off, or has no module, is all that there is.
func TestFloor_Partial(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		says fields
		want string
	}{
		"all":             {fields{"state": "live", "not_kept": fields{"agent": "denied", "member": "off", "queue": "Invalid/unknown command"}}, ""},
		"lists under way": {fields{"state": "syncing", "not_kept": fields{"queue": "not listed yet"}}, "pbx1: not all is known yet: calls, queues and agents may be missing."},
		"a list that did not come": {fields{"state": "live", "not_kept": fields{"caller": "timeout", "queue": "cut: 3 of 5", "channel": "denied"}},
			"pbx1: not all is known: channel (denied), queue (cut: 3 of 5), caller (timeout)."},
		"stale": {fields{"state": "stale", "not_kept": fields{"queue": "timeout"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			w.up("pbx1")
			w.put("pbx1.server", test.says)
			equal(t, "partial", strings.Join(w.snapshot().Partial(), "|"), test.want)
			s := w.of("pbx1")
			equal(t, "the server", s.Partial() == "", test.want == "")
			w.put("pbx1.server", fields{"state": "live"})
			equal(t, "once all is known", len(w.snapshot().Partial()), 0)
		})
	}
}

// A server that has the same missing as many others is one of a number.
func TestFloor_PartialOfMany(t *testing.T) {
	t.Parallel()
	w := watch(t)
	for i := range 9 {
		w.up(fmt.Sprint("pbx", i))
		w.put(fmt.Sprint("pbx", i, ".server"), fields{"state": "syncing"})
	}
	equal(t, "partial", strings.Join(w.snapshot().Partial(), "|"), "pbx0, pbx1, pbx2, 6 more: not all is known yet: calls, queues and agents may be missing.")
}

// Of a bridge that leads no more it is said that it knows what events have told.
func TestFloor_PartialOfAStandby(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.put("pbx1.server", fields{"state": "syncing"})
	w.tell("pbx1", "ha", fields{"trigger": "change", "leader": "b2", "term": 7, "since": text(w.now), "reason": "start", "standbys": []fields{{"node": "b1", "state": "in_sync", "lag": 0}}})
	equal(t, "partial", strings.Join(w.snapshot().Partial(), "|"), "pbx1: another bridge leads it, this one knows what events have told: calls, queues and agents may be missing.")
}

// What nobody can read, such as of a later version, vouches for nothing.
func TestFloor_AServersKeyThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.live("pbx1")
	w.State("pbx1.server", []byte(`{"state":["live"]}`), w.now)
	equal(t, "state", w.of("pbx1").Present.State, "stale")
	equal(t, "ignored", w.snapshot().Ignored, 1)
}

// Queues keep their place, whoever waits in them.
func TestFloor_QueuesKeepTheirPlace(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.live("pbx2")
	w.live("pbx1")
	places := func() (all string) {
		for _, q := range w.snapshot().Floor.Queues {
			all += " " + q.Name + "@" + q.Server
		}
		return all
	}
	for _, key := range []string{"pbx1.queue.b", "pbx2.queue.a", "pbx1.queue.a", "pbx1.queue.c"} {
		w.put(key, fields{})
	}
	before := places()
	equal(t, "places", before, " a@pbx1 a@pbx2 b@pbx1 c@pbx1")
	w.call("pbx1", "c", "1", "4711", 1)
	w.put("pbx2.server", fields{"state": "stale"})
	equal(t, "places with callers, and one that is stale", places(), before)
}

// An hour of a queue, the most of each minute.
func TestFloor_QueuesPast(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.live("pbx1")
	w.put("pbx1.queue.q", fields{})
	for i := range 3 {
		w.call("pbx1", "q", fmt.Sprint(i), "4711", i)
		w.pass(time.Second)
	}
	for i := range 3 {
		w.end(fmt.Sprintf("pbx1.caller.q.%d", i))
	}
	w.pass(time.Second)
	for range 2 {
		w.pass(time.Minute)
		w.live("pbx1")
	}
	past := w.queue("q").Past
	equal(t, "minutes", len(past), 60)
	equal(t, "the last three", fmt.Sprint(past[57:]), "[3 0 0]")
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ number, full, last4, none string }{
		{"+49 30 5550 144", "+49 30 5550 144", "… 144", ""},
		{"+4930123456", "+4930123456", "…3456", ""},
		{"2014", "2014", "2014", ""},
		{"", "", "", ""},
		{"<unknown>", "unknown", "unknown", "unknown"},
		{"Anonymous", "anonymous", "anonymous", "anonymous"},
		{"alice.smith", "alice.smith", "…mith", ""},
		{"ünïcödé", "ünïcödé", "…cödé", ""},
	} {
		equal(t, "full "+c.number, NumbersFull.show(c.number), c.full)
		equal(t, "last4 "+c.number, NumbersLast4.show(c.number), c.last4)
		equal(t, "none "+c.number, NumbersNone.show(c.number), c.none)
		equal(t, "a typing error "+c.number, Numbers("ful").show(c.number), c.none)
	}
	equal(t, "a channel", NumbersLast4.ShowIn("Local/4930123456@out-0000a1;2"), "Local/…3456@out-0000a1;2")
	equal(t, "a channel, none", NumbersNone.ShowIn("PJSIP/+4930123456-0000a1"), "PJSIP/+…-0000a1")
}

// The JSON of /status.json holds no digit of a caller's number.
func TestSnapshot_WithoutNumbers(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.live("pbx1")
	w.call("pbx1", "q", "1", "+49305558888", 1)
	raw, err := json.Marshal(w.Snapshot(w.now, NumbersNone))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "8888") {
		t.Errorf("a number is in %s", raw)
	}
	raw, _ = json.Marshal(w.Snapshot(w.now, NumbersLast4))
	if !strings.Contains(string(raw), "…8888") || strings.Contains(string(raw), "58888") {
		t.Errorf("not the last four in %s", raw)
	}
}

// The calls of one server, the oldest first.
func TestCalls(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.live("pbx1")
	w.put("pbx1.channel.b", fields{"Linkedid": "b", "Uniqueid": "b", "Channel": "PJSIP/2014-0000a1", "ChannelStateDesc": "Up", "CallerIDNum": "2014", "ConnectedLineNum": "+49305558888", "Since": text(w.now)})
	w.pass(time.Second)
	w.put("pbx1.channel.c", fields{"Linkedid": "b", "Uniqueid": "c", "Channel": "PJSIP/trunk-0000a2", "ChannelStateDesc": "Up", "CallerIDNum": "+49305558888", "Since": text(w.now)})
	w.call("pbx1", "vip", "1796004193=2E2", "+493012345", 1)
	calls, of := w.Calls("pbx1", NumbersLast4)
	equal(t, "calls", of, 2)
	equal(t, "first", fmt.Sprintf("%s %s %s %s %s", calls[0].Caller, calls[0].With, calls[0].State, calls[0].Channel, calls[0].Queue), "2014 …8888 Up PJSIP/2014-0000a1 ")
	equal(t, "second waits in", calls[1].Queue, "vip")
	if calls, of := w.Calls("pbx9", NumbersLast4); calls != nil || of != 0 {
		t.Error("a server that is not there has calls")
	}
}
