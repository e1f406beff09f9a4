package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/directget"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox/outboxtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// What was acknowledged behind a hole is stored, and is not sent again.
func TestStored_WhatWasAcknowledgedBehindAHoleIsReleased(t *testing.T) {
	o := outboxtest.New(1 << 20)
	w := windowOf(func(int) {}, o)
	for i := 1; i <= 5; i++ {
		o.Push(outboxtest.Entry(i), []byte(strconv.Itoa(i)), false)
		o.Take(nil)
		w.add(0, 100, time.Now())
	}
	for _, number := range []uint64{0, 2, 4} { // the first is released at once
		w.ack(0, number)
	}
	w.rewind(0)
	w.ack(0, 1) // too late to find anything in the outbox
	w.reset(0)
	if a := o.Account(); a.Published != 3 || a.Queued != 2 || a.InFlight != 0 {
		t.Errorf("%+v", a)
	}
	if diff := cmp.Diff([]string{"2", "4"}, outboxtest.Drain(t, o)); diff != "" {
		t.Error(diff)
	}
	if a := o.Account(); a.Bytes != 0 || a.Published != 5 {
		t.Errorf("at the end %+v", a)
	}
}

// An event is in doubt from when it was first sent, however often it is sent
// again since, and no longer than it is; those sent for the first time later are
// not.
func TestStored_DoubtBeginsWithTheFirstTry(t *testing.T) {
	o := outboxtest.New(1 << 20)
	w := windowOf(func(int) {}, o)
	send := func() uint64 {
		o.Take(nil)
		return w.add(0, 100, time.Now())
	}
	fail := func() {
		w.fail(0, errAckTimeout)
		w.rewind(0)
		w.reset(0)
	}
	var named []uint64
	doubtful := func() outbox.Doubt {
		named = nil
		return o.Doubtful(func(e *outbox.Entry) { named = append(named, e.Seq) })
	}
	for i := 1; i <= 3; i++ {
		o.Push(outboxtest.Entry(i), nil, false)
	}
	w.observe(7)
	before := time.Now()
	send()
	send()
	w.observe(9)
	fail()
	first := doubtful()
	if first.Since.Before(before) || first.Since.After(time.Now()) || first.After != 7 || !slices.Equal(named, []uint64{1, 2}) {
		t.Errorf("%+v of %v", first, named)
	}
	for range 3 { // it stays so through any number of failures
		send()
		send()
		fail()
	}
	if again := doubtful(); again != first {
		t.Errorf("%+v, was %+v", again, first)
	}
	w.ack(0, send())
	if left := doubtful(); left != first || !slices.Equal(named, []uint64{2}) {
		t.Errorf("with one acknowledged %+v of %v", left, named)
	}
	w.ack(0, send())
	if none := doubtful(); none != (outbox.Doubt{}) || len(named) > 0 {
		t.Errorf("with all acknowledged %+v of %v", none, named)
	}
	send()
	fail()
	if fresh := doubtful(); !fresh.Since.After(first.Since) || fresh.After != 9 || !slices.Equal(named, []uint64{3}) {
		t.Errorf("a failure later on: %+v of %v", fresh, named)
	}
	known := outbox.Doubt{Since: time.Now(), After: 12}
	if o.DoubtAll(known); doubtful() != known {
		t.Errorf("once it is known: %+v", doubtful())
	}
}

// forgetfulBench is a bridge whose events the stream may have forgotten at once.
func forgetfulBench(t *testing.T, url string) (*bench, *Publisher) {
	t.Helper()
	b, p := testBench(t, url, config.DeliverJetStream)
	p.forgets = 0
	return b, p
}

// storedOnce wants each of the events 1 to n of pbx1 in the stream, once.
func storedOnce(t *testing.T, url string, n int) {
	t.Helper()
	_, js := natstest.Client(t, url)
	info, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	messages := storedEvents(t, url)
	seen := map[string]int{}
	for range info.CachedInfo().State.Msgs {
		m, err := messages.Next(jetstream.NextMaxWait(natstest.Patience))
		if err != nil {
			t.Fatal(err)
		}
		seen[m.Headers().Get("Ami-Seq")]++
	}
	for i := 1; i <= n; i++ {
		if times := seen[fmt.Sprintf("s1:%d", i)]; times != 1 {
			t.Errorf("event %d is stored %d times", i, times)
		}
	}
}

// pushNamed pushes events, every tenth by the name Other.
func pushNamed(s *benchServer, from, to int) {
	for i := from; i <= to; i++ {
		name := "Test"
		if i%10 == 0 {
			name = "Other"
		}
		s.push(outbox.Entry{Subject: "ami.events.pbx1." + name, Session: "s1", Seq: uint64(i), At: 1}, []byte("{}"), false)
	}
}

// One event name that NATS denies, or that the stream has no room for, leaves a
// hole in the window: those behind it are stored. The bridge reads the stream
// back for what it may have forgotten the ids of, and takes none of the hole for
// stored.
func TestStored_AHoleIsNotTakenForStored(t *testing.T) {
	t.Parallel()
	const events = 500
	user := func(deny ...string) []*natsserver.User {
		return []*natsserver.User{
			{Username: "bridge", Password: "p", Permissions: &natsserver.Permissions{
				Publish: &natsserver.SubjectPermission{Allow: []string{">"}, Deny: deny},
			}},
			{Username: "admin", Password: "p"},
		}
	}
	t.Run("denied", func(t *testing.T) {
		eachWay(t, func(t *testing.T, keep func(*Publisher)) {
			options := &natsserver.Options{
				Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
				JetStreamMaxStore: natstest.MaxStore, Users: user("ami.events.pbx1.Other"),
			}
			s := natstest.Serve(t, func(o *natsserver.Options) { *o = *options.Clone() })
			options.Port = portOf(t, s.ClientURL())
			cfg := config.DefaultConfig()
			cfg.NATS.URL, cfg.NATS.User, cfg.NATS.Password = s.ClientURL(), "bridge", "p"
			b, p := newBench(t, cfg, "pbx1")
			keep(p)
			p.forgets = 0
			holeStaysAHole(t, b, p, events, func() {
				allowed := options.Clone()
				allowed.Users = user()
				if err := s.ReloadOptions(allowed); err != nil {
					t.Fatal(err)
				}
			}, "nats://admin:p@"+s.Addr().String())
		})
	})
	t.Run("no room", func(t *testing.T) {
		eachWay(t, func(t *testing.T, keep func(*Publisher)) {
			s := natstest.Serve(t, func(*natsserver.Options) {})
			b, p := forgetfulBench(t, s.ClientURL())
			keep(p)
			limit := func(each int64) {
				changeStream(t, s.ClientURL(), func(c *jetstream.StreamConfig) {
					c.Discard, c.DiscardNewPerSubject, c.MaxMsgsPerSubject = jetstream.DiscardNew, true, each
				})
			}
			limit(20)
			holeStaysAHole(t, b, p, events, func() { limit(10_000) }, s.ClientURL())
		})
	})
}

// holeStaysAHole publishes events of which some are refused until heal, and wants
// none to count as published that the stream has not.
func holeStaysAHole(t *testing.T, b *bench, p *Publisher, events int, heal func(), url string) {
	t.Helper()
	srv := b.servers[0]
	pushNamed(srv, 1, events)
	startPublisher(t, p)
	_, js := natstest.Client(t, url)
	settled := func() (stored uint64) {
		stream, err := js.Stream(t.Context(), streams.EventStream)
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().State.Msgs
	}
	awaitResent(t, srv)
	for range 5 { // asked and refused a few times more
		n := srv.outbox.Account().Resent
		ticker := time.NewTicker(5 * time.Millisecond)
		for deadline := time.Now().Add(natstest.Patience); srv.outbox.Account().Resent == n; <-ticker.C {
			if time.Now().After(deadline) {
				t.Fatal("what was refused is not tried again")
			}
		}
		ticker.Stop()
		if a := srv.outbox.Account(); a.Published > settled() {
			t.Fatalf("%d count as published, the stream holds %d", a.Published, settled())
		}
	}
	heal()
	if left := drainWithin(t, b, natstest.Patience); left > 0 {
		t.Fatalf("%d left", left)
	}
	storedOnce(t, url, events)
}

func portOf(t *testing.T, url string) int {
	t.Helper()
	port, err := strconv.Atoi(url[len("nats://127.0.0.1:"):])
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Acknowledgements that never came: what the stream holds is found there, whether
// it allows direct gets or not, and however much others have published between.
func TestStored_FindsWhatTheStreamHolds(t *testing.T) {
	const events = 1200 // more than two pages
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"direct gets":             func(*jetstream.StreamConfig) {},
		"the leader's word alone": func(c *jetstream.StreamConfig) { c.AllowDirect = false },
		"forgets at once":         func(c *jetstream.StreamConfig) { c.Duplicates = 100 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			s := natstest.Serve(t, func(*natsserver.Options) {})
			b, p := forgetfulBench(t, s.ClientURL())
			changeStream(t, s.ClientURL(), change)
			_, js := natstest.Client(t, s.ClientURL())
			ids := map[string]bool{}
			publish := func(server string, i int) string {
				e := outbox.Entry{Session: "s1", Seq: uint64(i)}
				msg := nats.NewMsg("ami.events." + server + ".Test")
				id := string(p.appendID(nil, 0, &e))
				if server != "pbx1" {
					id = server + id
				}
				msg.Header.Set("Nats-Msg-Id", id)
				if _, err := js.PublishMsg(t.Context(), msg); err != nil {
					t.Fatal(err)
				}
				return id
			}
			publish("pbx1", 0)
			d := outbox.Doubt{Since: time.Now(), After: 1}
			want := map[string]bool{}
			for i := 1; i <= events; i++ {
				if i%7 == 0 { // a hole
					id := string(p.appendID(nil, 0, &outbox.Entry{Session: "s1", Seq: uint64(i)}))
					ids[id], want[id] = false, false
					continue
				}
				id := publish("pbx1", i)
				ids[id], want[id] = false, true
				if i%3 == 0 {
					publish("pbx2", i)
				}
			}
			for _, from := range []outbox.Doubt{d, {Since: d.Since}, {Since: d.Since, After: 1 << 40}} {
				asked := maps.Clone(ids)
				left, err := p.held(t.Context(), p.source(0).Filter, asked, from)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, asked); diff != "" {
					t.Errorf("from %+v: %s", from, diff)
				}
				if !left.Since.After(d.Since) || left.After == 0 {
					t.Errorf("from %+v the rest is in doubt since %+v", from, left)
				}
			}
			_ = b
		})
	}
}

// Reading begins behind what was heard of before the first try, or else by time,
// as the server's clock has it; and at the stream's first where that is near.
func TestStored_ReadsFromBeforeTheFirstTry(t *testing.T) {
	now := time.Now()
	theirs := now.Add(time.Hour)
	since := now.Add(-time.Minute)
	for name, test := range map[string]struct {
		first, last uint64
		direct      bool
		clock       time.Time
		doubt       outbox.Doubt
		seq         uint64
		at          time.Time
	}{
		"behind what was heard of":    {1, 1 << 30, true, theirs, outbox.Doubt{Since: since, After: 1<<30 - 100}, 1<<30 - 99, time.Time{}},
		"which is the last":           {1, 1 << 30, true, theirs, outbox.Doubt{Since: since, After: 1 << 30}, 1<<30 + 1, time.Time{}},
		"that was removed":            {1 << 29, 1<<29 + 9, true, theirs, outbox.Doubt{Since: since, After: 7}, 1 << 29, time.Time{}},
		"nothing was heard of":        {1, 1 << 30, true, theirs, outbox.Doubt{Since: since, After: 0}, 0, theirs.Add(-time.Minute - heldMargin)},
		"what was is long ago":        {1, 1 << 30, true, theirs, outbox.Doubt{Since: since, After: 7}, 0, theirs.Add(-time.Minute - heldMargin)},
		"the server tells no time":    {1, 1 << 30, true, time.Time{}, outbox.Doubt{Since: since, After: 7}, 0, since.Add(-heldMargin)},
		"a small stream":              {5, 90, true, theirs, outbox.Doubt{Since: since, After: 0}, 5, time.Time{}},
		"made anew since":             {1, 90, true, theirs, outbox.Doubt{Since: since, After: 1 << 30}, 1, time.Time{}},
		"no direct gets, nothing was": {5, 1 << 30, false, theirs, outbox.Doubt{Since: since, After: 0}, 5, time.Time{}},
	} {
		info := &jetstream.StreamInfo{TimeStamp: test.clock}
		info.Config.AllowDirect, info.State.FirstSeq, info.State.LastSeq = test.direct, test.first, test.last
		r := heldFrom(info, test.doubt, now)
		if r.Seq != test.seq || (r.StartTime == nil) != test.at.IsZero() || r.StartTime != nil && !r.StartTime.Equal(test.at) {
			t.Errorf("%s: from %d, %v, want %d, %v", name, r.Seq, r.StartTime, test.seq, test.at)
		}
	}
}

// By time too the page holds what was stored since.
func TestStored_ReadsByTime(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	_, p := forgetfulBench(t, s.ClientURL())
	_, js := natstest.Client(t, s.ClientURL())
	for range 2 {
		if _, err := js.Publish(t.Context(), "ami.events.pbx1.Test", nil); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	second, err := stream.GetMsg(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	page, more, err := p.page(t.Context(), directget.Request{NextFor: p.source(0).Filter, Batch: heldPage, MaxBytes: heldPageBytes, StartTime: &second.Time})
	if err != nil || more || len(page) != 1 || page[0].sequence != 2 {
		t.Errorf("%+v, %v, %v", page, more, err)
	}
}

// Events and Gaps are found under the ids that they are published with, of which
// no two are alike.
func TestStored_IDs(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
	pushEvents(b.servers[0], 1, 1)
	for range 2 {
		b.servers[0].outbox.PushGap("s1", &outbox.Gap{Reason: outbox.DropOverflow, Lost: 1})
	}
	pushEvents(b.servers[0], 2, 2)
	startPublisher(t, p)
	allPublished(t, b)
	_, js := natstest.Client(t, s.ClientURL())
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for sequence := uint64(1); sequence <= 4; sequence++ {
		m, err := stream.GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.Header.Get("Nats-Msg-Id"))
	}
	if diff := cmp.Diff([]string{"test.pbx1.s1.1", "test.pbx1.s1.0.1", "test.pbx1.s1.0.2", "test.pbx1.s1.2"}, ids); diff != "" {
		t.Error(diff)
	}
	for i, e := range []outbox.Entry{{Session: "s1", Seq: 1}, {Session: "s1", Gap: 1}, {Session: "s1", Gap: 2}} {
		if id := string(p.appendID(nil, 0, &e)); id != ids[i] {
			t.Errorf("%s is asked for as %s", ids[i], id)
		}
	}
}

// pages plays a nats-server: whatever it answers to one question after another.
func pages(answers ...func() ([]heldMessage, bool, error)) func(context.Context, directget.Request) ([]heldMessage, bool, error) {
	return func(context.Context, directget.Request) ([]heldMessage, bool, error) {
		next := answers[0]
		answers = answers[1:]
		return next()
	}
}

// Reading ends where the stream does, where all was found, and at its bounds.
func TestStored_ReadsNoFurtherThanItMust(t *testing.T) {
	failure := errors.New("no")
	page := func(more bool, err error, ids ...string) func() ([]heldMessage, bool, error) {
		return func() (m []heldMessage, _ bool, _ error) {
			for _, id := range ids {
				n, _ := strconv.ParseUint(id, 10, 64)
				m = append(m, heldMessage{id, n, ""})
			}
			return m, more, err
		}
	}
	long := make([]string, heldMessages+1)
	for i := range long {
		long[i] = strconv.Itoa(i + 100)
	}
	for name, test := range map[string]struct {
		pages   []func() ([]heldMessage, bool, error)
		held    []string
		through uint64
		err     error
	}{
		"nothing":             {[]func() ([]heldMessage, bool, error){page(false, nil)}, nil, 0, nil},
		"all on one page":     {[]func() ([]heldMessage, bool, error){page(true, nil, "1", "2", "3")}, []string{"1", "2", "3"}, 3, nil},
		"two pages":           {[]func() ([]heldMessage, bool, error){page(true, nil, "1"), page(false, nil, "3", "9")}, []string{"1", "3"}, 9, nil},
		"an error between":    {[]func() ([]heldMessage, bool, error){page(true, nil, "1"), page(true, failure, "2")}, []string{"1", "2"}, 2, failure},
		"others' without end": {[]func() ([]heldMessage, bool, error){page(true, nil, long...)}, nil, heldMessages + 100, errHeldFar},
		"one twice":           {[]func() ([]heldMessage, bool, error){page(true, nil, "1", "1", "1"), page(false, nil, "2")}, []string{"1", "2"}, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ids := map[string]bool{"1": false, "2": false, "3": false}
			through, err := readHeld(t.Context(), pages(test.pages...), directget.Request{}, ids)
			if through != test.through || !errors.Is(err, test.err) {
				t.Errorf("through %d, %v", through, err)
			}
			for id, held := range ids {
				if held != slices.Contains(test.held, id) {
					t.Errorf("%s is held: %v", id, held)
				}
			}
		})
	}
}

// How nats-server answers a direct get: by pages, before 2.11 with one message,
// or with what is no answer at all.
func TestStored_Answers(t *testing.T) {
	message := func(sequence, last string) *nats.Msg {
		m := &nats.Msg{Header: nats.Header{
			"Nats-Msg-Id": {"id" + sequence}, "Nats-Sequence": {"99", sequence}, "Nats-Num-Pending": {"1"}, "Nats-Last-Sequence": {last},
		}}
		if last == "" {
			delete(m.Header, "Nats-Num-Pending")
			delete(m.Header, "Nats-Last-Sequence")
		}
		return m
	}
	status := func(code, pending, last string) *nats.Msg {
		return &nats.Msg{Header: nats.Header{"Status": {code}, "Nats-Num-Pending": {pending}, "Nats-Last-Sequence": {last}}}
	}
	start := time.Now()
	one := []heldMessage{{"id5", 5, ""}}
	for name, test := range map[string]struct {
		request  directget.Request
		answer   []*nats.Msg
		messages []heldMessage
		more     bool
		fails    error
	}{
		"a page":               {directget.Request{}, []*nats.Msg{message("5", "0"), status("204", "0", "5")}, one, false, nil},
		"with more behind it":  {directget.Request{}, []*nats.Msg{message("5", "0"), status("204", "3", "5")}, one, true, nil},
		"none":                 {directget.Request{}, []*nats.Msg{status("404", "", "")}, nil, false, nil},
		"of 2.10":              {directget.Request{Seq: 5}, []*nats.Msg{message("5", "")}, one, true, nil},
		"of 2.10, by time":     {directget.Request{StartTime: &start}, []*nats.Msg{message("5", "")}, nil, false, errHeldTime},
		"a part lost":          {directget.Request{}, []*nats.Msg{message("5", "0"), message("7", "6")}, one, true, errHeldCut},
		"the end lost":         {directget.Request{}, []*nats.Msg{message("5", "0"), status("204", "0", "6")}, one, true, errHeldCut},
		"no direct gets there": {directget.Request{}, []*nats.Msg{status("408", "", "")}, nil, false, errAny},
	} {
		t.Run(name, func(t *testing.T) {
			s := natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false })
			nc, _ := natstest.Client(t, s.ClientURL())
			if _, err := nc.Subscribe("$JS.API.DIRECT.GET."+streams.EventStream, func(ask *nats.Msg) {
				for _, m := range test.answer {
					m.Subject = ask.Reply
					_ = nc.PublishMsg(m)
				}
			}); err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil { // the question comes on another connection
				t.Fatal(err)
			}
			p := &Publisher{conn: conntest.Open(t, nc.ConnectedUrl())}
			ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
			defer cancel()
			messages, more, err := p.page(ctx, test.request)
			if diff := cmp.Diff(test.messages, messages, cmp.AllowUnexported(heldMessage{})); diff != "" || more != test.more {
				t.Errorf("more %v: %s", more, diff)
			}
			if (err == nil) != (test.fails == nil) || test.fails != errAny && !errors.Is(err, test.fails) {
				t.Errorf("%v, want %v", err, test.fails)
			}
		})
	}
}

var errAny = errors.New("any")

// One who may not ask is told what right is missing.
func TestStored_NamesTheRightThatIsMissing(t *testing.T) {
	s := natstest.Serve(t, func(o *natsserver.Options) {
		o.Users = []*natsserver.User{{Username: "bridge", Password: "p", Permissions: &natsserver.Permissions{
			Publish: &natsserver.SubjectPermission{Allow: []string{">"}, Deny: []string{heldSubject}},
		}}}
	})
	cfg := config.DefaultConfig()
	cfg.NATS.URL, cfg.NATS.User, cfg.NATS.Password = s.ClientURL(), "bridge", "p"
	_, p := newBench(t, cfg, "pbx1")
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	go func() { // as soon as it is known there is nothing to wait for
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for p.mayNotRead.Load() == nil && ctx.Err() == nil {
			<-ticker.C
		}
		cancel()
	}()
	if _, _, err := p.page(ctx, directget.Request{NextFor: p.source(0).Filter, Batch: 1}); !errors.Is(err, natsconn.ErrDenied) || !strings.Contains(err.Error(), heldSubject) {
		t.Errorf("%v", err)
	}
}

// Without an answer nothing is sent again for a minute, and then all of it.
func TestStored_WaitsAMinuteForAnAnswer(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	b, p := forgetfulBench(t, s.ClientURL())
	p.log = zap.NewNop()
	o := b.servers[0].outbox
	pushEvents(b.servers[0], 1, 3)
	for range 3 {
		o.Take(nil)
		p.window.add(0, 100, time.Now())
	}
	began := time.Now()
	p.window.fail(0, errAckTimeout)
	p.noteFailures(began)
	p.window.rewind(0)
	ids := map[string]bool{"test.pbx1.s1.1": false, "test.pbx1.s1.2": true, "test.pbx1.s1.3": false}
	for _, step := range []struct {
		after    time.Duration
		err      error
		answered bool
	}{
		{0, errHeldCut, false},
		{storedPatience - time.Second, errHeldCut, false},
		{storedPatience, errHeldCut, true},
	} {
		now := began.Add(step.after)
		p.retries[0].asking = true
		p.onHeld(heldAnswer{source: 0, ids: ids, doubt: outbox.Doubt{Since: began, After: 5}, err: step.err}, now)
		if r := &p.retries[0]; r.asking || r.answered != step.answered || !step.answered && !r.due.After(now) {
			t.Errorf("after %v: %+v", step.after, r)
		}
		if a := o.Account(); a.Published != 1 {
			t.Errorf("after %v %d of the one that is known to be stored are released", step.after, a.Published)
		}
	}
	if d := o.Doubtful(func(*outbox.Entry) {}); d.Since != began.Add(storedPatience) || d.After != 5 {
		t.Errorf("what is sent again is in doubt since %+v", d)
	}
	// A question that was waited for has been wait enough: the next is asked at once.
	waited := fmt.Errorf("read the stream: %w", context.DeadlineExceeded)
	p.retries[0].asked = time.Time{}
	if p.onHeld(heldAnswer{source: 0, ids: ids, err: waited}, began); !p.retries[0].due.Equal(began) {
		t.Errorf("behind a question that was waited for: %+v", p.retries[0])
	}
	p.retries[0].asked = time.Time{}
	// An answer ends the minute: the next begins anew.
	p.retries[0].answered = false
	p.onHeld(heldAnswer{source: 0, ids: ids, err: errHeldCut}, began.Add(2*storedPatience))
	p.onHeld(heldAnswer{source: 0, ids: ids, doubt: outbox.Doubt{Since: began.Add(2 * storedPatience)}}, began.Add(2*storedPatience))
	if r := &p.retries[0]; !r.asked.IsZero() || !r.answered {
		t.Errorf("with an answer: %+v", r)
	}
}

// A question about the stream that nobody has had, for there was no leader, is given up as soon as
// an event would be: by then there may be one.
func TestStored_AsksForTheStreamAnew(t *testing.T) {
	longtest.Mark(t, "an answer of JetStream is waited for for 5 s (natsconn.AckTimeout)")
	t.Parallel()
	s := natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false })
	nc, js := natstest.Client(t, s.ClientURL())
	if _, err := nc.Subscribe("$JS.API.STREAM.INFO.>", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	if _, err := findStream(ctx, js); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}

// The stream is asked only when it may have forgotten, and one server's question
// leaves the others alone.
func TestStored_AsksOnlyWhenTheStreamMayHaveForgotten(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
	if p.forgets != 55*time.Second {
		t.Errorf("after %v, with a duplicate window of 2 m", p.forgets)
	}
	pushEvents(b.servers[0], 1, 1)
	began := time.Now()
	b.servers[0].outbox.Take(nil)
	p.window.add(0, 100, time.Now())
	p.window.fail(0, errAckTimeout)
	p.window.rewind(0)
	if p.askHeld(t.Context(), 0, began.Add(p.forgets-time.Millisecond)) {
		t.Error("asked although the stream knows its id")
	}
	if !p.askHeld(t.Context(), 0, began.Add(p.forgets+time.Minute)) || !p.retries[0].asking {
		t.Error("not asked although the stream may have forgotten")
	}
	p.onHeld(<-p.answers, time.Now())
	if p.askHeld(t.Context(), 0, began.Add(time.Hour)) {
		t.Error("asked again although it has just answered")
	}
	p.asking.Wait()
}
