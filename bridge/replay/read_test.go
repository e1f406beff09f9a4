package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestRead_SelectsServersAndNames(t *testing.T) {
	b := newBench(t)
	now := time.Now()
	for _, server := range []string{"pbx1", "pbx2", "lab"} {
		for _, name := range []string{"Hangup", "QueueCallerJoin", "QueueMemberStatus", "VarSet"} {
			b.tick(server, name, now)
		}
	}
	for name, test := range map[string]struct {
		servers, names []string
		want           string
		filters        int // asked of the server
	}{
		"all":              {nil, nil, "1 2 3 4 5 6 7 8 9 10 11 12", 1},
		"one server":       {[]string{"pbx2"}, nil, "5 6 7 8", 1},
		"one name":         {nil, []string{"Hangup"}, "1 5 9", 1},
		"two of each":      {[]string{"pbx1", "lab"}, []string{"VarSet", "Hangup"}, "1 4 9 12", 4},
		"a glob":           {nil, []string{"Queue*"}, "2 3 6 7 10 11", 6},
		"globs and a name": {[]string{"pbx?"}, []string{"Queue*", "VarSet"}, "2 3 4 6 7 8", 6},
		"nobody":           {[]string{"x*"}, nil, "", 0},
		"no such name":     {nil, []string{"Nothing"}, "", 1},
		"twice the same":   {[]string{"pbx1", "pbx1"}, []string{"Hangup", "*"}, "1 2 3 4", 1},
	} {
		t.Run(name, func(t *testing.T) {
			sel := Selection{Prefix: "ami", Kind: "events", Servers: test.servers, Names: test.names}
			var sequences []string
			for _, line := range b.read(t.Context(), sel) {
				sequence, _, _ := strings.Cut(line, " ")
				sequences = append(sequences, sequence)
			}
			if got := strings.Join(sequences, " "); got != test.want {
				t.Errorf("read %s, want %s", got, test.want)
			}
			p, err := sel.plan(t.Context(), b.source("AMI_EVENTS"))
			if err != nil || len(p.filters) != test.filters || p.match != nil && test.filters > 0 {
				t.Errorf("asks for %q, %v", p.filters, err)
			}
		})
	}
}

// Beyond 32 subjects all is read, and what does not match is left out here.
func TestRead_ManySubjects(t *testing.T) {
	b := newBench(t)
	var want []string
	for i := range 1100 { // more than the server lists
		name := fmt.Sprintf("Odd%d", i)
		b.tick("pbx1", name, time.Now())
		if strings.HasSuffix(name, "7") {
			want = append(want, fmt.Sprintf("%d pbx1.%s", i+1, name))
		}
		if i == 1000 {
			if got := b.read(t.Context(), Selection{Names: []string{"Odd*7"}}); !slices.Equal(got, want) {
				t.Errorf("of %d read %q", i, got)
			}
		}
	}
	if got := b.read(t.Context(), Selection{Names: []string{"Odd*7"}, To: time.Now().Add(time.Hour)}); !slices.Equal(got, want) {
		t.Errorf("read %q", got)
	}
}

// An event counts for when it was read, and not for when it was stored: one that
// waited in the outbox is found in its own time, and stored behind others.
func TestRead_SelectsByTheTimeOfReading(t *testing.T) {
	b := newBench(t)
	now := time.Now().Truncate(time.Second)
	for _, minutes := range []int{-30, -20, -10} {
		b.tick("pbx1", "Hangup", now.Add(time.Duration(minutes)*time.Minute))
	}
	b.tick("pbx2", "Late", now.Add(-20*time.Minute))
	b.tick("pbx1", "Hangup", now.Add(-5*time.Minute))
	sel := Selection{From: now.Add(-25 * time.Minute), To: now.Add(-15 * time.Minute)}
	if got := b.read(t.Context(), sel); fmt.Sprint(got) != "[2 pbx1.Hangup 4 pbx2.Late]" {
		t.Errorf("read %q", got)
	}
	sel = Selection{From: now.Add(-20 * time.Minute), To: now.Add(-10 * time.Minute)} // the bounds themselves
	if got := b.read(t.Context(), sel); fmt.Sprint(got) != "[2 pbx1.Hangup 4 pbx2.Late]" {
		t.Errorf("read %q", got)
	}
	if got := b.read(t.Context(), Selection{From: now.Add(time.Hour)}); got != nil {
		t.Errorf("of the future read %q", got)
	}
}

// The clocks of the bridge and of NATS may differ by a minute: what was read after
// From by the one was stored before it by the other, and what was read before To
// may stand behind what was read a little after it.
func TestRead_ClocksMayDiffer(t *testing.T) {
	b := newBench(t)
	now := time.Now()
	b.tick("pbx1", "Ahead", now.Add(30*time.Second)) // stored now, by this clock
	b.tick("pbx1", "Behind", now)
	b.tick("pbx1", "Last", now.Add(30*time.Second))
	if got := b.read(t.Context(), Selection{From: now.Add(20 * time.Second)}); fmt.Sprint(got) != "[1 pbx1.Ahead 3 pbx1.Last]" {
		t.Errorf("from then on read %q", got)
	}
	if got := b.read(t.Context(), Selection{To: now.Add(10 * time.Second)}); fmt.Sprint(got) != "[2 pbx1.Behind]" {
		t.Errorf("before then read %q", got)
	}
}

// A clock that was ahead for a moment, or one bridge's of several, ends no reading.
func TestRead_AClockThatWasAheadEndsNothing(t *testing.T) {
	b := newBench(t)
	now := time.Now()
	b.tick("pbx1", "Before", now)
	b.tick("pbx1", "Ahead", now.Add(3*time.Hour))
	b.tick("pbx1", "After", now.Add(time.Second))
	b.tick("pbx1", "Later", now.Add(2*time.Hour))
	if got := b.read(t.Context(), Selection{To: now.Add(5 * time.Minute)}); fmt.Sprint(got) != "[1 pbx1.Before 3 pbx1.After]" {
		t.Errorf("read %v", got)
	}
}

// What the stream takes in after the start is not read, nor waited for.
func TestRead_EndsWithWhatWasThere(t *testing.T) {
	b := newBench(t)
	for range 3 {
		b.tick("pbx1", "Old", time.Now())
	}
	read := 0
	err := b.source("AMI_EVENTS").Read(t.Context(), Selection{Prefix: "ami", Kind: "events"}, ReadAt, nil, func(*Message) error {
		if read++; read == 1 {
			for range 2 * aheadMessages { // a page of them too
				b.tick("pbx1", "New", time.Now())
			}
		}
		return nil
	})
	if err != nil || read != 3 {
		t.Errorf("read %d, %v", read, err)
	}
}

// Up to 32 subjects are asked for one by one.
func TestSelection_AsksForSoManySubjects(t *testing.T) {
	names := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprint("n", i))
		}
		return all
	}
	for _, test := range []struct{ servers, names, want int }{{4, 8, 32}, {3, 11, 1}, {1, 33, 1}, {33, 1, 1}, {1, 32, 32}} {
		sel := Selection{Prefix: "ami", Kind: "events", Servers: names(test.servers), Names: names(test.names)}
		p, err := sel.plan(t.Context(), nil) // no stream has to be asked
		if err != nil || len(p.filters) != test.want || (p.match == nil) != (test.want > 1) {
			t.Errorf("of %d servers and %d names it asks for %d, %v", test.servers, test.names, len(p.filters), err)
		}
		if p.match != nil && (!p.match("ami.events.n0.n0") || p.match("ami.events.n0.other")) {
			t.Errorf("of %d servers and %d names others are let through", test.servers, test.names)
		}
	}
}

// Patterns select who asked whatever the name holds, a slash too; what a Gap
// does not say is not known.
func TestWanted_TakesPatterns(t *testing.T) {
	r := Record{Requester: "crm/7", Decision: "refused", Outcome: "forbidden"}
	r.Info.User = "dialer"
	for _, test := range []struct {
		w    Wanted
		want bool
	}{
		{Wanted{}, true}, {Wanted{Requesters: []string{"crm*"}}, true}, {Wanted{Requesters: []string{"crm?7"}}, true}, {Wanted{Requesters: []string{"dial*"}}, true},
		{Wanted{Requesters: []string{"crm"}}, false}, {Wanted{Decisions: []string{"allowed"}}, false}, {Wanted{Outcomes: []string{"timeout", "forb*"}}, true},
		{Wanted{Requesters: []string{"crm*"}, Decisions: []string{"refused"}, Outcomes: []string{"answered"}}, false},
	} {
		if got := test.w.Has(&r); got != test.want {
			t.Errorf("%+v selects it: %v", test.w, got)
		}
	}
	intent := Record{Phase: "intent"}
	counted := Record{Phase: "refusals", Outcomes: map[string]uint64{"busy": 3}}
	for outcome, want := range map[string][2]bool{"intent": {true, false}, "refusals": {false, true}, "busy": {false, true}, "answered": {false, false}} {
		w := Wanted{Outcomes: []string{outcome}}
		if got := [2]bool{w.Has(&intent), w.Has(&counted)}; got != want {
			t.Errorf("%s selects an intent and a sum of refusals: %v, want %v", outcome, got, want)
		}
	}
	for data, want := range map[string]string{`{"Lost":"7"}`: "7", `{"Lost":7}`: "unknown", `x`: "unknown"} {
		e := Event{Message: &Message{Data: []byte(data)}}
		if got := e.Gap().Lost; got != want {
			t.Errorf("%s tells of %s lost", data, got)
		}
	}
}

// Past To it does not read to the end of the stream.
func TestRead_EndsWhereNothingCanFollow(t *testing.T) {
	b := newBench(t)
	now := time.Now()
	b.tick("pbx1", "In", now.Add(-30*time.Minute))
	b.tick("pbx2", "In", now.Add(-30*time.Minute))
	for range 3 * aheadMessages {
		b.tick("pbx1", "Later", now)
	}
	read := uint64(0)
	sel := Selection{Prefix: "ami", Kind: "events", To: now.Add(-20 * time.Minute)}
	count := func(p Progress) { read = p.Read }
	err := b.source("AMI_EVENTS").Read(t.Context(), sel, ReadAt, count, func(*Message) error { return nil })
	if err != nil || read != 3 {
		t.Errorf("read %d, %v", read, err)
	}
}

// The start is the server's: what lies before is not sent.
func TestRead_StartsOnTheServer(t *testing.T) {
	b := newBench(t)
	b.tick("pbx1", "Old", time.Now())
	sel := Selection{Prefix: "ami", Kind: "events", From: time.Now().Add(clockSlack + time.Second)}
	told := 0
	err := b.source("AMI_EVENTS").Read(t.Context(), sel, func(m *Message) time.Time { told++; return m.Stored }, nil,
		func(*Message) error { return nil })
	if err != nil || told != 0 {
		t.Errorf("%d were sent, %v", told, err)
	}
}

// What a publisher puts into the headers that the server adds does not deceive.
func TestRead_BelievesTheServerAlone(t *testing.T) {
	b := newBench(t)
	m := nats.NewMsg("ami.events.pbx1.Hangup")
	for name, value := range map[string]string{
		"Nats-Sequence": "77", "Nats-Subject": "ami.events.pbx2.Forged", "Nats-Last-Sequence": "76", "Status": "404",
		"Nats-Time-Stamp": "2001-01-01T00:00:00Z", "Nats-Num-Pending": "1",
	} {
		m.Header.Set(name, value)
	}
	if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	b.tick("pbx1", "Hangup", time.Now())
	if got := b.read(t.Context(), Selection{}); fmt.Sprint(got) != "[1 pbx1.Hangup 2 pbx1.Hangup]" {
		t.Errorf("read %q", got)
	}
}

// What the connection loses out of a page is asked for again.
func TestRead_AsksAgainForWhatIsLost(t *testing.T) {
	b := newBench(t)
	for range 20 {
		b.tick("pbx1", "Hangup", time.Now())
	}
	// A server between them that is not there twice, and then leaves out each
	// seventh answer.
	asks, answers := 0, 0
	relay, err := b.nc.Subscribe("lossy.DIRECT.GET.AMI_EVENTS", func(ask *nats.Msg) {
		if asks++; asks <= 2 { // a leader that is being elected
			if err := b.nc.PublishMsg(&nats.Msg{Subject: ask.Reply, Header: nats.Header{"Status": {"503"}}}); err != nil {
				t.Error(err)
			}
			return
		}
		sub, err := b.nc.SubscribeSync(b.nc.NewInbox())
		if err != nil {
			t.Error(err)
			return
		}
		defer sub.Unsubscribe() //nolint:errcheck // of a test
		if err := b.nc.PublishRequest("$JS.API.DIRECT.GET.AMI_EVENTS", sub.Subject, ask.Data); err != nil {
			t.Error(err)
		}
		for {
			m, err := sub.NextMsg(20 * time.Second)
			if errors.Is(err, nats.ErrConnectionClosed) { // the test is over: the reader waits for no end behind the last message
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			end := m.Header.Get("Status") != "" || strings.Contains(string(ask.Data), "last_by_subj")
			if answers++; end || answers%7 != 0 {
				err := b.nc.PublishMsg(&nats.Msg{Subject: ask.Reply, Header: m.Header, Data: m.Data})
				if err != nil && !errors.Is(err, nats.ErrConnectionClosed) { // or else the test is over, as above
					t.Error(err)
				}
			}
			if end {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Unsubscribe() //nolint:errcheck // of a test
	source := &Source{Conn: b.nc, API: "lossy", Stream: "AMI_EVENTS"}
	n := uint64(0)
	err = source.Read(t.Context(), Selection{Prefix: "ami", Kind: "events"}, ReadAt, nil, func(m *Message) error {
		if n++; m.Sequence != n {
			t.Fatalf("%d came in place of %d", m.Sequence, n)
		}
		return nil
	})
	if err != nil || n != 20 || answers < 21 {
		t.Errorf("%d of 20 in %d answers, %v", n, answers, err)
	}
}

// A server that is started anew in the middle costs nothing but time.
func TestRead_OutlivesARestart(t *testing.T) {
	b := newBench(t)
	const events = 3 * aheadMessages
	for range events {
		b.tick("pbx1", "Hangup", time.Now())
	}
	n := uint64(0)
	err := b.source("AMI_EVENTS").Read(t.Context(), Selection{Prefix: "ami", Kind: "events"}, ReadAt, nil, func(m *Message) error {
		if n++; m.Sequence != n {
			t.Fatalf("%d came in place of %d", m.Sequence, n)
		}
		if n == 100 {
			b.restart()
		}
		return nil
	})
	if err != nil || n != events {
		t.Errorf("%d of %d, %v", n, events, err)
	}
}

func TestRead_SaysWhatIsWrong(t *testing.T) {
	b := newBench(t)
	none := func(*Message) error { return nil }
	sel := Selection{Prefix: "ami", Kind: "events"}
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "CLOSED", Subjects: []string{"closed"}}); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"NONE", "CLOSED"} {
		before := b.nc.Stats().OutMsgs
		err := b.source(stream).Read(t.Context(), sel, ReadAt, nil, none)
		if asked := b.nc.Stats().OutMsgs - before; err == nil || !strings.Contains(err.Error(), "stream "+stream+" cannot be read at $JS.API") || asked != 2 {
			t.Errorf("%s: %d questions, %v", stream, asked, err)
		}
	}
	b.tick("pbx1", "Hangup", time.Now())
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	err := b.source("AMI_EVENTS").Read(ctx, sel, ReadAt, nil, func(*Message) error { cancel(why); return pause(ctx, time.Hour) })
	if !errors.Is(err, why) {
		t.Errorf("ended: %v", err)
	}
	for _, pattern := range []string{"", "[", "a.b", ">", "a b"} {
		if sel := (Selection{Names: []string{pattern}}); sel.Check() == nil {
			t.Errorf("%q is taken as a pattern", pattern)
		}
	}
}
