package harness

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// Stored is an event as the stream holds it.
type Stored struct {
	Server, Name, session string

	Seq  uint64
	Data []byte
}

// Text returns a header of the event.
func (s *Stored) Text(key string) string {
	var headers map[string]any
	if json.Unmarshal(s.Data, &headers) != nil {
		return ""
	}
	text, _ := headers[key].(string)
	return text
}

// Story is everything that the stream holds of a server, or of * for all, in
// order.
func (r *Running) Story(server string) (story []Stored) {
	r.T.Helper()
	filter := "ami.events." + server + ".>"
	js := JetStream(r.T, r.Client)
	stream, err := js.Stream(r.T.Context(), streams.EventStream)
	if err != nil {
		r.T.Fatal(err)
	}
	info, err := stream.Info(r.T.Context(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		r.T.Fatal(err)
	}
	count := uint64(0)
	for _, n := range info.State.Subjects {
		count += n
	}
	consumer, err := stream.OrderedConsumer(r.T.Context(), jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	if err != nil {
		r.T.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		r.T.Fatal(err)
	}
	defer messages.Stop()
	for range count {
		msg, err := messages.Next(jetstream.NextMaxWait(Patience))
		if err != nil {
			r.T.Fatal(err)
		}
		story = append(story, readStored(r.T, msg.Subject(), msg.Headers(), msg.Data()))
	}
	return story
}

// readStored reads an event of the stream.
func readStored(t testing.TB, subject string, header nats.Header, data []byte) Stored {
	t.Helper()
	session, number, _ := strings.Cut(header.Get("Ami-Seq"), ":")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		t.Fatalf("%s: Ami-Seq: %v", subject, err)
	}
	tokens := strings.Split(subject, ".")
	return Stored{tokens[2], tokens[3], session, seq, data}
}

// Tale is what a story comes to.
type Tale struct {
	Events     []Stored // without the Gap events
	Gaps       []Stored
	Sessions   int
	Missing    uint64 // numbers that are missing within sessions
	LostByGaps uint64 // what the Gap events say was lost
}

// CheckStory wants a story's numbers to grow within each session, and each gap in
// them to be told by Gap events in its place.
func CheckStory(t *testing.T, story []Stored) (got Tale) {
	t.Helper()
	last, sessions, explained, wrong := Stored{}, map[string]bool{}, uint64(0), 0
	for _, e := range story {
		if e.Name == "Gap" {
			got.Gaps = append(got.Gaps, e)
			if lost, err := strconv.ParseUint(e.Text("Lost"), 10, 64); err == nil {
				explained += lost
			}
			continue
		}
		got.Events = append(got.Events, e)
		missing := uint64(0)
		switch {
		case e.session == last.session && e.Seq > last.Seq:
			missing = e.Seq - last.Seq - 1
		case e.session == last.session || sessions[e.session]:
			t.Fatalf("%s %s:%d came after %s:%d", e.Name, e.session, e.Seq, last.session, last.Seq)
		default:
			sessions[e.session] = true
			missing = e.Seq - 1
		}
		if missing != explained {
			wrong++
		}
		if missing != explained && wrong <= 3 {
			t.Errorf("before %s:%d %d numbers are missing, and the Gap events say %d", e.session, e.Seq, missing, explained)
		}
		got.Missing, got.LostByGaps = got.Missing+missing, got.LostByGaps+explained
		last, explained = e, 0
	}
	if wrong > 3 {
		t.Errorf("and so in %d places more", wrong-3)
	}
	got.LostByGaps += explained
	got.Sessions = len(sessions)
	return got
}

// Untouched wants that what befell the replies has cost no event: the stream
// holds the ticks that were sent and one that is sent now, by one session and
// without a gap; and that no action is pending any more.
func (r *Running) Untouched(t *testing.T, sim *amisim.Server, sent int) {
	t.Helper()
	sim.Emit("Event", "Tick", "N", strconv.Itoa(sent))
	sent++
	if b := r.Drained("pbx1", uint64(sent)); b.Received != uint64(sent) || b.Published != b.Received {
		t.Errorf("of %d events %+v", sent, b)
	}
	got := CheckStory(t, r.Story("pbx1"))
	Ticks(t, got, sent)
	if got.Sessions != 1 || len(got.Gaps) != 0 {
		t.Errorf("%d sessions of events and %d gaps", got.Sessions, len(got.Gaps))
	}
	Eventually(t, "no action is pending", func() bool { return r.Metric("actions_pending") == 0 })
}

// Ticks wants exactly the events Tick with N from 0 to n-1, in order.
func Ticks(t *testing.T, got Tale, n int) {
	t.Helper()
	if len(got.Events) != n {
		t.Errorf("the stream holds %d events, want %d", len(got.Events), n)
	}
	for i, e := range got.Events {
		if e.Name != "Tick" || e.Text("N") != strconv.Itoa(i) {
			t.Fatalf("event %d is %s", i, e.Data)
		}
	}
}

// Undisturbed wants n events of the server one to come one by one, and an action
// answered at each tenth: whoever waits for a server that is down, or floods for
// ever, waits longer than Next does.
func Undisturbed(t *testing.T, r *Running, sim *amisim.Server, n int) {
	t.Helper()
	events := r.Subscribe("ami.events.one.Tick")
	for i := range n {
		sim.Emit("Event", "Tick", "N", fmt.Sprint(i))
		r.Next(events)
		if i%10 == 0 {
			Succeeds(t, r.Call("one", "CoreStatus", ""))
		}
	}
}

// Unharmed wants the stream to hold these n events of the server one.
func Unharmed(t *testing.T, r *Running, n int) {
	t.Helper()
	r.Drained("one", uint64(n))
	got := CheckStory(t, r.Story("one"))
	Ticks(t, got, n)
	if len(got.Gaps) != 0 {
		t.Errorf("%d gaps at a server that nothing happened to", len(got.Gaps))
	}
}
