package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// writing is a State whose writer runs, of servers that are held, and a bucket that is
// the test itself.
type writing struct {
	*State
	nc     *nats.Conn
	came   *nats.Subscription
	logged *observer.ObservedLogs
}

func startWriting(t *testing.T, servers, channels int) *writing {
	t.Helper()
	w := aWriting(t, servers, channels)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { w.writer.run(ctx, w.servers.all) })
	t.Cleanup(func() { cancel(); group.Wait() })
	return w
}

// beginHeld begins the i'th server of s, whose key is held and whose session is up.
func beginHeld(s *State, i int) *Server {
	own := config.DefaultServerConfig()
	own.Name = fmt.Sprintf("pbx%d", i)
	one := s.Add(&own)
	s.Begin(one)
	one.holder.until.Store(int64(time.Hour))
	one.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, At: time.Now(), Session: "s1"})
	return one
}

// aWriting is one whose writer does not run yet.
func aWriting(t *testing.T, servers, channels int) *writing {
	t.Helper()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, _ := natstest.Client(t, url)
	came, err := nc.SubscribeSync(subjectPrefix + ">")
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	core, logged := observer.New(zap.InfoLevel)
	cfg := config.DefaultConfig()
	cfg.Node, cfg.StateInterval = "b1", 10*time.Millisecond
	s := New(Options{
		Config: &cfg, Conn: conntest.Open(t, url), Changed: func() {}, Log: zap.New(core),
		Stream: func() (streams.State, error) { return streams.OK, nil },
	})
	for i := range servers {
		one := beginHeld(s, i)
		for n := range channels {
			one.OnEvent(amiconn.Event{At: time.Now(), Frame: frame(t, fmt.Sprintf("Event: Newchannel\nChannel: a-%d\nChannelState: 6\nUniqueid: 1.%d", n, n))})
		}
	}
	s.Seen(streams.OK)
	natstest.Within(t, "all is due", func() bool {
		for _, one := range s.servers.all() { // in the order in which they began
			if wait, any := one.present.Next(time.Now().Add(-cfg.StateInterval)); !any || wait > 0 {
				return false
			}
		}
		return true
	})
	return &writing{s, nc, came, logged}
}

// next returns the next n messages for the bucket.
func (w *writing) next(t *testing.T, n int) (all []*nats.Msg) {
	t.Helper()
	for range n {
		m, err := w.came.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatalf("%d of %d came: %v", len(all), n, err)
		}
		all = append(all, m)
	}
	return all
}

// answer answers each with text.
func answer(t *testing.T, all []*nats.Msg, text string) {
	t.Helper()
	for _, m := range all {
		if err := m.Respond([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

const stored = `{"stream":"KV_AMI_STATE","seq":1}`

func serversOf(all []*nats.Msg) map[string]int {
	by := map[string]int{}
	for _, m := range all {
		server, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, subjectPrefix), ".")
		by[server]++
	}
	return by
}

// No more is on its way than the window, however much waits; and each server has its
// turn, whatever those before it have left.
func TestWriter_IsBoundedAndFair(t *testing.T) {
	const perServer = 2 * turn
	w := startWriting(t, window/turn*2, perServer)
	first := w.next(t, window)
	if err := w.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := w.came.Pending(); n != 0 {
		t.Errorf("%d more are on their way", n)
	}
	answer(t, first, stored)
	second := w.next(t, window)
	if both := serversOf(append(first, second...)); len(both) != window/turn*2 {
		t.Errorf("%d of %d servers had a turn: %v", len(both), window/turn*2, both)
	}
	answer(t, second, stored)
	for range 2 {
		answer(t, w.next(t, window), stored)
	}
	natstest.Within(t, "all is stored", func() bool { return w.servers.all()[0].Counts().Writes == perServer && w.writer.underWay() == 0 })
}

// hurried is a Leader that is asked in the middle of a round, and has then come what the
// round did not know of.
type hurried struct{ come func() }

func (h *hurried) Leads(string) bool { h.come(); return true }

// Room that comes while a round goes on is used at once: no acknowledgement tells of it
// again. It was found by BenchmarkWriter, whose writer slept half a second now and then.
func TestWriter_SeesRoomThatCameMeanwhile(t *testing.T) {
	w := aWriting(t, 1, 2)
	for range window - 1 {
		w.writer.slot()
	}
	at := 0
	w.o.Leader = &hurried{come: func() {
		for ; at < window-1; at++ {
			w.writer.giveBack(at)
		}
	}}
	if wait := w.writer.round(time.Now(), w.servers.all()); wait != 0 || w.writer.underWay() != 1 {
		t.Errorf("a round with room for one of two waits %v, with %d on their way", wait, w.writer.underWay())
	}
}

// While the bucket refuses one message at a time probes; then all that changed is
// written, and both are said once.
func TestWriter_ProbesWhileTheBucketRefuses(t *testing.T) {
	w := startWriting(t, 1, 40)
	answer(t, w.next(t, 40), `{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`)
	for range 2 {
		probe := w.next(t, 1)
		if err := w.nc.Flush(); err != nil {
			t.Fatal(err)
		}
		if n, _, _ := w.came.Pending(); n != 0 {
			t.Errorf("%d more came with the probe", n)
		}
		answer(t, probe, `{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`)
	}
	for range 40 {
		answer(t, w.next(t, 1), stored)
	}
	natstest.Within(t, "all is stored", func() bool { return w.servers.all()[0].Counts().Writes == 40 })
	for text, want := range map[string]int{"state: the bucket does not take what has changed": 1, "state: the bucket takes what has changed again": 1} {
		natstest.Within(t, text, func() bool { return w.logged.FilterMessage(text).Len() >= want })
		if n := w.logged.FilterMessage(text).Len(); n != want {
			t.Errorf("%q was said %d times", text, n)
		}
	}
}

// What another stream has stored is not stored, and what it refuses says nothing of the bucket: one
// without times to live would turn the state off.
func TestWriter_AnswersThatAreNone(t *testing.T) {
	for text, good := range map[string]bool{
		stored: true, `{"stream":"GREEDY","seq":1}`: false, `{"stream":"KV_AMI_STATE"}`: false, "+OK": false,
		`{"error":{"code":400,"err_code":10071}}`: false,
	} {
		if revision, err := answerOf(&nats.Msg{Data: []byte(text)}); (err == nil) != good || (revision != 0) != good {
			t.Errorf("%s: %d, %v", text, revision, err)
		}
	}
	_, err := answerOf(&nats.Msg{Data: []byte(`{"stream":"GREEDY","error":{"code":400,"err_code":10166}}`)})
	if _, is := errors.AsType[*jetstream.APIError](err); err == nil || is {
		t.Error(err)
	}
	if _, err := answerOf(&nats.Msg{Header: nats.Header{"Status": []string{"503"}}}); !errors.Is(err, nats.ErrNoResponders) {
		t.Error(err)
	}
}

// A stream without times to live turns the state off: no purge would ever be taken.
func TestWriter_ABucketWithoutTimesToLive(t *testing.T) {
	w := startWriting(t, 1, 1)
	answer(t, w.next(t, 1), `{"error":{"code":400,"err_code":10166,"description":"per-message TTL is disabled"}}`)
	natstest.Within(t, "off", func() bool { return w.Report().State == "off" })
	if r := w.Report(); !strings.Contains(r.Reason, "allow_msg_ttl") {
		t.Errorf("%+v", r)
	}
}
