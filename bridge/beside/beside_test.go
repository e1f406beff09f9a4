package beside

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// world is a stream of events, and a Watch of a bridge b1 that publishes pbx1.
type world struct {
	*Watch
	t      *testing.T
	js     jetstream.JetStream
	n      int
	logged *observer.ObservedLogs
	shown  []Server
	stored uint64 // as the bridge counts it
}

func begin(t *testing.T, ha bool) *world {
	t.Helper()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	_, js := natstest.Client(t, url)
	core, logged := observer.New(zap.InfoLevel)
	w := &world{t: t, js: js, logged: logged}
	w.shown = []Server{{"pbx1", "ami.events.pbx1.>", w}}
	w.Watch = New(Options{Node: "b1", HA: ha, Conn: conntest.Open(t, url), Servers: func() []Server { return w.shown }, Log: zap.New(core)})
	w.make(true)
	return w
}

func (w *world) Stores() uint64 { return w.stored }

func (w *world) make(direct bool) {
	w.t.Helper()
	_ = w.js.DeleteStream(w.t.Context(), streams.EventStream)
	if _, err := w.js.CreateStream(w.t.Context(), jetstream.StreamConfig{Name: streams.EventStream, Subjects: []string{"ami.events.>"}, AllowDirect: direct}); err != nil {
		w.t.Fatal(err)
	}
}

// nobody is who publishes what no bridge does: without an id.
const nobody = "nobody"

// by has an event stored of each publisher: a node without HA, "" for one with, or nobody.
func (w *world) by(server string, nodes ...string) {
	w.t.Helper()
	for _, node := range nodes {
		w.n++
		id := node + "." + server + ".k3f9." + strconv.Itoa(w.n)
		if node == "" {
			id = server + ".k3f9." + strconv.Itoa(w.n) + ".00000000000000aa"
		}
		m := nats.NewMsg("ami.events." + server + ".Hangup")
		if node != nobody {
			m.Header.Set(jetstream.MsgIDHeader, id)
		}
		if _, err := w.js.PublishMsg(w.t.Context(), m); err != nil {
			w.t.Fatal(err)
		}
	}
}

// looks has it look, and wants it to say so of pbx1.
func (w *world) looks(want string) {
	w.t.Helper()
	w.keep(w.shown)
	for _, s := range w.shown {
		if err := w.look(context.Background(), s); err != nil {
			w.t.Fatal(err)
		}
	}
	got := strings.Join(w.Reasons(), "\n")
	if want == "" && got != "" || !strings.Contains(got, want) || w.Doubled("pbx1") != (want != "") {
		w.t.Errorf("%q: %q, doubled: %v", want, got, w.Doubled("pbx1"))
	}
}

const (
	byB9     = "pbx1: b9, a bridge without BRIDGE_HA=on, publishes its events too"
	bySharer = "pbx1: bridges with BRIDGE_HA=on publish its events too"
)

// Whoever publishes the same server is seen, be its event the first or the last of two, and
// whatever stood there before is not held against anybody. It is forgotten only when looks in
// a row have found new events, and none of its.
func TestWatch_SeesWhoPublishesBeside(t *testing.T) {
	for name, c := range map[string]struct {
		ha         bool
		own, other string
		want       string
	}{
		"one that shares, and one that does not": {true, "", "b9", byB9},
		"the other way round":                    {false, "b1", "", bySharer},
		"two that share nothing":                 {false, "b1", "b9", byB9},
	} {
		t.Run(name, func(t *testing.T) {
			for _, both := range [][]string{{c.own, c.other}, {c.other, c.own}} {
				w := begin(t, c.ha)
				w.by("pbx1", c.other) // before
				w.looks("")
				w.looks("")
				w.by("pbx1", c.own, c.own)
				w.by("pbx2", c.other)
				w.looks("")
				w.by("pbx1", both...)
				w.looks(c.want)
				for range 2 * clearAfter {
					w.looks(c.want) // nothing is new
				}
				for range clearAfter - 1 {
					w.by("pbx1", c.own)
					w.looks(c.want)
				}
				w.by("pbx1", both...)
				w.looks(c.want)
				for range clearAfter {
					w.by("pbx1", c.own)
					w.looks(map[bool]string{true: c.want}[w.seen["pbx1"].clear < clearAfter-1])
				}
				if n := w.logged.FilterMessage("another bridge publishes this server too").Len(); n != 1 || w.logged.Len() != 2 {
					t.Errorf("logged %d times, of %v", n, w.logged.All())
				}
			}
		})
	}
}

// Events that the stream has acknowledged, and that are under other subjects than they were published on: the account
// maps them, which no question to NATS shows.
func TestWatch_SeesThatEventsAreElsewhere(t *testing.T) {
	w := begin(t, false)
	says := func(want bool) {
		t.Helper()
		w.keep(w.shown)
		if err := w.look(t.Context(), w.shown[0]); err != nil {
			t.Fatal(err)
		}
		if all := w.Reasons(); (len(all) == 1 && strings.Contains(all[0], "the account maps subjects")) != want || w.Doubled("pbx1") {
			t.Errorf("%q, want that it is told: %v", all, want)
		}
	}
	says(false)
	for range 2 { // they are where they belong, or nothing happens
		w.stored++
		w.by("pbx1", "b1")
		says(false)
		says(false)
	}
	for n := range 2 * unfoundAfter {
		w.stored++
		w.by("site.pbx1", "b1")
		says(n >= unfoundAfter-1)
	}
	says(true)
	w.stored++
	w.by("pbx1", "b1")
	says(false)
	if n := w.logged.FilterMessage("events are stored under other subjects").Len(); n != 1 || w.logged.Len() != 2 {
		t.Errorf("logged %d times, of %v", n, w.logged.All())
	}
	for range unfoundAfter {
		w.stored++
		says(w.stored == 2*unfoundAfter+3+unfoundAfter)
	}
	w.keep(nil) // of one that it publishes no more nothing is said
	if all := w.Reasons(); len(all) > 0 {
		t.Errorf("%q", all)
	}
}

// A server that this bridge publishes no more is none of its, without a word; and what is
// stored until it does so again is not held against anybody.
func TestWatch_ForgetsWhatItPublishesNoMore(t *testing.T) {
	w := begin(t, true)
	w.looks("")
	w.by("pbx1", "", "b9")
	w.looks(byB9)
	all := w.shown
	w.shown = nil
	w.looks("")
	w.by("pbx1", "b9")
	w.shown = all
	w.looks("")
	w.by("pbx1", "")
	w.looks("")
	if w.logged.Len() != 1 {
		t.Errorf("logged: %v", w.logged.All())
	}
}

// A stream that is gone, was made anew, or that may not be read directly does no harm.
func TestWatch_AStreamThatIsAnother(t *testing.T) {
	w := begin(t, true)
	w.by("pbx1", "", "", "")
	w.looks("")
	w.make(true)
	w.by("pbx1", "b9")
	w.looks("")
	w.by("pbx1", "b9")
	w.looks(byB9)
	w = begin(t, true)
	w.make(false)
	w.by("pbx1", "", "b9")
	w.looks("")
	w.by("pbx1", "", "b9")
	w.looks("")
	if err := w.js.DeleteStream(t.Context(), streams.EventStream); err != nil {
		t.Fatal(err)
	}
	w = begin(t, true)
	if err := w.js.DeleteStream(t.Context(), streams.EventStream); err != nil {
		t.Fatal(err)
	}
	w.looks("")
}

// What somebody stores there who is no bridge, such as a person with the nats command line, is
// not held against a bridge, and hides none.
func TestWatch_SomebodyWhoIsNoBridge(t *testing.T) {
	w := begin(t, false)
	w.by("pbx1", "b1")
	w.looks("")
	w.by("pbx1", nobody)
	w.looks("")
	w.by("pbx1", nobody, "b9")
	w.looks(byB9)
	for range 2 * clearAfter {
		w.by("pbx1", nobody)
		w.looks(byB9) // nothing is known of b9 by that
	}
	for range clearAfter - 1 {
		w.by("pbx1", nobody, "b1")
		w.looks(byB9)
	}
	w.by("pbx1", "b1", nobody)
	w.looks("")
}

// Where the servers are the same as before nothing is forgotten, nor asked of each.
func TestWatch_KeepsTheSameAtNoCost(t *testing.T) {
	w := begin(t, false)
	w.shown = nil
	for i := range 1000 {
		w.shown = append(w.shown, Server{Name: "pbx" + strconv.Itoa(i)})
		w.seen[w.shown[i].Name] = new(seen)
	}
	w.keep(w.shown)
	if n := costtest.Allocations(func() { w.keep(w.shown) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	w.keep(w.shown[1:])
	if w.seen["pbx0"] != nil || len(w.seen) != 999 {
		t.Errorf("%d are kept", len(w.seen))
	}
}

// Of many servers one after the other is looked at, and which they are is asked for once in a
// while: to list a thousand of them twenty times a second took a tenth of an idle bridge's CPU.
func TestWatch_ListsManyServersOnceInAWhile(t *testing.T) {
	w := begin(t, false)
	var listed, looks atomic.Int64
	w.o.Every = time.Second
	w.o.Servers = func() (all []Server) {
		listed.Add(1)
		for i := range 100 {
			all = append(all, Server{Name: "pbx" + strconv.Itoa(i), Events: "ami.events.pbx" + strconv.Itoa(i) + ".>", Outbox: w})
		}
		return all
	}
	nc, _ := natstest.Client(t, w.o.Conn.Get().ConnectedUrl())
	if _, err := nc.Subscribe("$JS.API.DIRECT.GET.>", func(*nats.Msg) { looks.Add(1) }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { w.Run(ctx) })
	natstest.Within(t, "ten are looked at", func() bool { return looks.Load() >= 10 })
	cancel()
	group.Wait()
	if n := listed.Load(); n > 3 {
		t.Errorf("listed %d times", n)
	}
}
