package integration

import (
	"encoding/json"
	"errors"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// Each chaos test says what becomes of the events (ticks, check), of the replies
// (fails, succeeds, noMore), of the counters (settled, metric) and of the gaps
// (check, untouched). The law and the bounds of the buffers are watched in all of
// them; where much comes the heap is, too.

// chaosServer is a server that is kicked more often than a breaker would bear, and
// has time on a slow machine.
func chaosServer(name, addr string) config.ServerConfig {
	s := server(name, addr, "bridge", "s3cret")
	s.BackoffMin, s.BackoffMax = 20*time.Millisecond, 200*time.Millisecond
	s.BreakerFailures = 1_000_000
	s.ReadTimeout, s.ActionTimeout = 5*time.Minute, 100*time.Second
	return s
}

// chaosConfig has the counters told often.
func chaosConfig(c *config.Config) {
	c.StatusInterval = 100 * time.Millisecond
	c.ActionsAllow = setting.Globs{"Command"}
}

// chaosBridge is a bridge to pbx1, which sends no events of its own.
func chaosBridge(t *testing.T, cfg amisim.Config, change func(*config.ServerConfig)) (*amisim.Server, *running) {
	t.Helper()
	cfg.NotBooted = true
	sim, addr := startSim(t, cfg)
	s := chaosServer("pbx1", addr)
	if change != nil {
		change(&s)
	}
	return sim, startBridge(t, natsURL(t), chaosConfig, s)
}

// ask sends a request and returns where its replies come, without waiting.
func (r *running) ask(server, action, body string, headers ...string) *nats.Subscription {
	r.t.Helper()
	replies := r.subscribe(r.nc.NewInbox())
	msg := nats.NewMsg("ami.actions." + server + "." + action)
	msg.Reply, msg.Data = replies.Subject, []byte(body)
	for i := 0; i < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	if err := errors.Join(r.nc.PublishMsg(msg), r.nc.FlushTimeout(patience)); err != nil {
		r.t.Fatal(err)
	}
	return replies
}

// answer waits for the next reply.
func (r *running) answer(replies *nats.Subscription) reply {
	r.t.Helper()
	return parse(r.t, r.next(replies))
}

func parse(t testing.TB, msg *nats.Msg) reply {
	t.Helper()
	var got reply
	if err := json.Unmarshal(msg.Data, &got); err != nil {
		t.Fatalf("%v in %.200s", err, msg.Data)
	}
	got.header = msg.Header
	return got
}

// noMore wants that nothing else came to replies. What Asterisk sent before it
// answers a Ping is through when the answer is.
func (r *running) noMore(server string, replies ...*nats.Subscription) {
	r.t.Helper()
	if got := r.call(server, "Ping", ""); got.Error != nil {
		r.t.Errorf("Ping: %+v", got.Error)
	}
	for _, sub := range replies {
		if n, _, err := sub.Pending(); n != 0 || err != nil {
			r.t.Errorf("%d more replies to one request (%v)", n, err)
		}
	}
}

// fails wants a reply with an error of that kind, or the test ends.
func fails(t *testing.T, got reply, kind, sent string) {
	t.Helper()
	if got.Error == nil || got.Error.Kind != kind || got.Error.Sent != sent {
		t.Fatalf("%s: response %q, error %+v, want %s with sent %s", got.Action, got.Response, got.Error, kind, sent)
	}
}

// succeeds wants a reply without an error.
func succeeds(t *testing.T, got reply) {
	t.Helper()
	if got.Error != nil || got.Response != "Success" {
		t.Errorf("%s: response %q, error %+v", got.Action, got.Response, got.Error)
	}
}

// buffers is ami.status.<server>.buffers.
type buffers struct {
	Received, Published, Filtered, Queued uint64

	InFlight uint64 `json:"in_flight"`
	Dropped  map[string]uint64
	Outbox   struct {
		Capacity  int64
		HighWater int64 `json:"high_water"`
	}
}

func (b *buffers) lost() (n uint64) {
	for _, dropped := range b.Dropped {
		n += dropped
	}
	return n
}

// settled waits until so many events were received and none is under way, for as
// long as some are on their way, and returns the counters of then. The law has
// to hold in every status meanwhile.
func (r *running) settled(server string, received uint64) buffers {
	r.t.Helper()
	statuses := r.subscribe("ami.status." + server + ".buffers")
	defer statuses.Unsubscribe()
	deadline, moved := time.Now().Add(patience), uint64(0)
	for {
		var b buffers
		if err := json.Unmarshal(r.next(statuses).Data, &b); err != nil {
			r.t.Fatal(err)
		}
		if b.Received != b.Published+b.lost()+b.Filtered+b.Queued+b.InFlight {
			r.t.Errorf("the law does not hold: %+v", b)
		}
		if b.Received >= received && b.Queued+b.InFlight == 0 {
			return b
		}
		if now := b.Received + b.Published + b.lost(); now != moved {
			deadline, moved = time.Now().Add(patience), now
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s does not settle: %+v, want %d received", server, b, received)
		}
	}
}

// stored is an event as the stream holds it.
type stored struct {
	server, name, session string

	seq  uint64
	data []byte
}

// text returns a header of the event.
func (s *stored) text(key string) string {
	var headers map[string]any
	if json.Unmarshal(s.data, &headers) != nil {
		return ""
	}
	text, _ := headers[key].(string)
	return text
}

// story is everything that the stream holds of a server, or of * for all, in
// order.
func (r *running) story(server string) (story []stored) {
	r.t.Helper()
	filter := "ami.events." + server + ".>"
	js := api(r.t, r.nc)
	stream, err := js.Stream(r.t.Context(), streams.EventStream)
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := stream.Info(r.t.Context(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		r.t.Fatal(err)
	}
	count := uint64(0)
	for _, n := range info.State.Subjects {
		count += n
	}
	consumer, err := stream.OrderedConsumer(r.t.Context(), jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	if err != nil {
		r.t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		r.t.Fatal(err)
	}
	defer messages.Stop()
	for range count {
		msg, err := messages.Next(jetstream.NextMaxWait(patience))
		if err != nil {
			r.t.Fatal(err)
		}
		story = append(story, read(r.t, msg.Subject(), msg.Headers(), msg.Data()))
	}
	return story
}

func read(t testing.TB, subject string, header nats.Header, data []byte) stored {
	t.Helper()
	session, number, _ := strings.Cut(header.Get("Ami-Seq"), ":")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		t.Fatalf("%s: Ami-Seq: %v", subject, err)
	}
	tokens := strings.Split(subject, ".")
	return stored{tokens[2], tokens[3], session, seq, data}
}

// tale is what a story comes to.
type tale struct {
	events   []stored // without the Gap events
	gaps     []stored
	sessions int
	holes    uint64 // numbers that are missing within sessions
	told     uint64 // what the Gap events say was lost
}

// untouched wants that what befell the replies has cost no event: the stream
// holds the ticks that were sent and one that is sent now, by one session and
// without a hole; and that no action is pending any more.
func (r *running) untouched(t *testing.T, sim *amisim.Server, sent int) {
	t.Helper()
	sim.Emit("Event", "Tick", "N", strconv.Itoa(sent))
	sent++
	if b := r.settled("pbx1", uint64(sent)); b.Received != uint64(sent) || b.Published != b.Received {
		t.Errorf("of %d events %+v", sent, b)
	}
	got := check(t, r.story("pbx1"))
	ticks(t, got, sent)
	if got.sessions != 1 || len(got.gaps) != 0 {
		t.Errorf("%d sessions of events and %d gaps", got.sessions, len(got.gaps))
	}
	eventually(t, "no action is pending", func() bool { return r.metric("actions_pending") == 0 })
}

// check wants a story's numbers to grow within each session, and each hole in
// them to be told by Gap events in its place.
func check(t *testing.T, story []stored) (got tale) {
	t.Helper()
	last, sessions, told, wrong := stored{}, map[string]bool{}, uint64(0), 0
	for _, e := range story {
		if e.name == "Gap" {
			got.gaps = append(got.gaps, e)
			if lost, err := strconv.ParseUint(e.text("Lost"), 10, 64); err == nil {
				told += lost
			}
			continue
		}
		got.events = append(got.events, e)
		hole := uint64(0)
		switch {
		case e.session == last.session && e.seq > last.seq:
			hole = e.seq - last.seq - 1
		case e.session == last.session || sessions[e.session]:
			t.Fatalf("%s %s:%d came after %s:%d", e.name, e.session, e.seq, last.session, last.seq)
		default:
			sessions[e.session] = true
			hole = e.seq - 1
		}
		if hole != told {
			wrong++
		}
		if hole != told && wrong <= 3 {
			t.Errorf("before %s:%d %d numbers are missing, and the Gap events say %d", e.session, e.seq, hole, told)
		}
		got.holes, got.told = got.holes+hole, got.told+told
		last, told = e, 0
	}
	if wrong > 3 {
		t.Errorf("and so in %d places more", wrong-3)
	}
	got.told += told
	got.sessions = len(sessions)
	return got
}

// metric returns the sum of a metric's samples that have these labels, given as
// pairs.
func (r *running) metric(name string, labels ...string) (sum float64) {
	r.t.Helper()
	families, err := r.seen.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "ami_nats_bridge_"+name {
			continue
		}
		for _, sample := range family.GetMetric() {
			has := map[string]string{}
			for _, l := range sample.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			match := true
			for i := 0; i < len(labels); i += 2 {
				match = match && has[labels[i]] == labels[i+1]
			}
			if match {
				sum += sample.GetCounter().GetValue() + sample.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// eventually waits for cond.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s", what)
		}
		<-ticker.C
	}
}

// liveHeap is what the last collection found reachable.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// heapNow collects and returns what is reachable.
func heapNow() uint64 {
	runtime.GC()
	return liveHeap()
}

// watchHeap returns a function that stops watching and says the most that was
// reachable at any collection in between.
func watchHeap() func() uint64 {
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		most := uint64(0)
		for {
			most = max(most, liveHeap())
			select {
			case <-ticker.C:
			case <-stop:
				peak <- most
				return
			}
		}
	}()
	return func() uint64 { close(stop); return <-peak }
}

// change is ami.status.<server>.connection.
type change struct{ Server, Role, From, To, Session, Reason string }

// lost and up say which changes await waits for.
func lost(c change) bool { return c.From == "up" && c.To == "waiting" }
func up(c change) bool   { return c.To == "up" }

// await waits until such a change has come of n of the servers' sessions, and
// returns them by server and role.
func (r *running) await(states *nats.Subscription, n int, such func(change) bool) map[string]change {
	r.t.Helper()
	found := map[string]change{}
	deadline := time.Now().Add(patience)
	for len(found) < n {
		var c change
		if time.Now().After(deadline) {
			r.t.Fatalf("only of %v, not of %d sessions", found, n)
		}
		if err := json.Unmarshal(r.next(states).Data, &c); err != nil {
			r.t.Fatal(err)
		}
		if such(c) {
			found[c.Server+" "+c.Role] = c
			deadline = time.Now().Add(patience)
		}
	}
	return found
}
