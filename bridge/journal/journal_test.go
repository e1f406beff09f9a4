package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// testJournal returns a journal that writes to the server at url, which has a
// stream of all below notes, and what ends it.
func testJournal(t *testing.T, url string, limit int) (*Journal, jetstream.JetStream, func()) {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.Timeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "NOTES", Subjects: []string{"notes.>"}}); err != nil {
		t.Fatal(err)
	}
	j := New(conntest.Open(t, nc.ConnectedUrl()), limit, nil, zap.NewNop())
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { j.Run(ctx) })
	stop := sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(stop)
	return j, js, stop
}

// note is the number'th message.
func note(number int) *nats.Msg {
	msg := nats.NewMsg("notes.a")
	msg.Data = []byte(strconv.Itoa(number))
	msg.Header.Set("Nats-Msg-Id", "n"+strconv.Itoa(number))
	msg.Header.Set("Nats-Expected-Stream", "NOTES")
	return msg
}

// drained waits until j has written everything.
func takenNotes(t *testing.T, j *Journal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if j.Drain(ctx); ctx.Err() != nil {
		n, bytes := j.Left()
		t.Fatalf("%d messages, %d bytes left", n, bytes)
	}
}

// notes are the numbers in the stream.
func notes(t *testing.T, js jetstream.JetStream) (numbers []int) {
	t.Helper()
	stream, err := js.Stream(t.Context(), "NOTES")
	if err != nil {
		t.Fatal(err)
	}
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(string(msg.Data))
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// hear returns what a message was told.
func hear(t *testing.T, told <-chan error) error {
	t.Helper()
	select {
	case err := <-told:
		return err
	case <-time.After(natstest.Patience):
		t.Fatal("nothing was heard of a message")
		return nil
	}
}

func count(n int) (numbers []int) {
	for i := range n {
		numbers = append(numbers, i)
	}
	return numbers
}

func TestJournal_StoresOnceAndInOrderThroughARestartOfNATS(t *testing.T) {
	dir, port := t.TempDir(), natstest.Port(t)
	server := natstest.Start(t, dir, port)
	j, js, _ := testJournal(t, server.ClientURL(), 1<<20)
	const n = 900
	stored := make(chan int, n)
	for i := range n {
		if i == n/3 {
			server.Shutdown()
			server.WaitForShutdown()
		}
		if i == 2*n/3 {
			natstest.Start(t, dir, port)
		}
		err := j.Write(Entry{Msg: note(i), Done: func(ack *jetstream.PubAck, err error) {
			if err == nil && ack.Stream == "NOTES" {
				stored <- i
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	takenNotes(t, j)
	if got := notes(t, js); !slices.Equal(got, count(n)) {
		t.Errorf("the stream holds %v", got)
	}
	if len(stored) != n {
		t.Errorf("%d of %d were told that they are stored", len(stored), n)
	}
}

// What is to be tried once does not wait for the stream to come back, although
// it stands behind what does.
func TestJournal_OnceHearsAnErrorAndIsNotStored(t *testing.T) {
	j, js, _ := testJournal(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), 1<<20)
	stream, err := js.Stream(t.Context(), "NOTES")
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "NOTES"); err != nil {
		t.Fatal(err)
	}
	heard := make(chan error, 1)
	if err := j.Write(Entry{Msg: note(0)}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		err := j.Write(Entry{Msg: note(i + 1), Once: true, Done: func(_ *jetstream.PubAck, err error) { heard <- err }})
		if err != nil {
			t.Fatal(err)
		}
		if err := hear(t, heard); !errors.Is(err, jetstream.ErrNoStreamResponse) {
			t.Errorf("heard %v", err)
		}
	}
	// The server may still be busy with taking the old one's files away.
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, err := js.CreateStream(t.Context(), stream.CachedInfo().Config)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	takenNotes(t, j)
	if got := notes(t, js); !slices.Equal(got, []int{0}) {
		t.Errorf("the stream holds %v", got)
	}
}

// A message that JetStream will never take does not stop what is behind it.
func TestJournal_GivesUpWhatIsHopeless(t *testing.T) {
	j, js, _ := testJournal(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), 4<<20)
	large, stale := note(1), note(2)
	large.Data = make([]byte, 2<<20)
	stale.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "17")
	heard := make(chan error, 2)
	for _, msg := range []*nats.Msg{large, stale} {
		if err := j.Write(Entry{Msg: msg, Done: func(_ *jetstream.PubAck, err error) { heard <- err }}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Write(Entry{Msg: note(0)}); err != nil {
		t.Fatal(err)
	}
	if err := hear(t, heard); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("the large one heard %v", err)
	}
	api, ok := errors.AsType[*jetstream.APIError](hear(t, heard))
	if !ok || api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
		t.Errorf("the stale one heard %v", api)
	}
	takenNotes(t, j)
	if got := notes(t, js); !slices.Equal(got, []int{0}) {
		t.Errorf("the stream holds %v", got)
	}
}

func TestJournal_IsBoundedAndSaysWhatIsLeft(t *testing.T) {
	j, js, stop := testJournal(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), 64<<10)
	if err := js.DeleteStream(t.Context(), "NOTES"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1000)
	taken := map[bool]int{}
	for _, must := range []bool{false, true} {
		for i := 0; ; i++ {
			e := Entry{Msg: note(i), Must: must, Done: func(_ *jetstream.PubAck, err error) { ended <- err }}
			if err := j.Write(e); errors.Is(err, ErrFull) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			taken[must]++
		}
	}
	n, bytes := j.Left()
	if bytes > 64<<10 || bytes < 60<<10 || taken[false] < 2*taken[true] || taken[true] == 0 || n != taken[false]+taken[true] {
		t.Errorf("%d messages, %d bytes; taken %v", n, bytes, taken)
	}
	stop()
	for range n {
		if err := hear(t, ended); !errors.Is(err, ErrEnded) {
			t.Fatalf("heard %v", err)
		}
	}
	if again, _ := j.Left(); again != n {
		t.Errorf("%d left, then %d", n, again)
	}
	if err := j.Write(Entry{Msg: note(0)}); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}

// Each message follows the one before it in its own stream, whatever is sent to
// another one in between; the first follows none, also when it did before.
func TestJournal_MessagesFollowThoseOfTheirStream(t *testing.T) {
	other := nats.NewMsg("keys.a")
	batch := []Entry{{Msg: note(0)}, {Msg: other, Once: true}, {Msg: note(1)}, {Msg: note(2)}}
	for skip, want := range [][]string{{"", "", "n0", "n1"}, {"", "", "n1"}, {"", "n1"}} {
		var got []string
		follow(batch[skip:])
		for _, e := range batch[skip:] {
			got = append(got, e.Msg.Header.Get(jetstream.ExpectedLastMsgIDHeader))
		}
		if !slices.Equal(got, want) {
			t.Errorf("from %d on they expect %q, want %q", skip, got, want)
		}
	}
}

// What will never be stored is not tried again; whatever else JetStream says may
// pass.
func TestJournal_KnowsWhatIsHopeless(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nats.ErrMaxPayload, true}, {nats.ErrBadSubject, true}, {&jetstream.APIError{ErrorCode: natsconn.StreamMessageExceedsMaximum}, true},
		{&jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence}, true},
		{&jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamWrongLastSequenceConstant}, true},
		{&jetstream.APIError{ErrorCode: natsconn.StreamWrongLastMsgID}, false}, {&jetstream.APIError{ErrorCode: 10023}, false},
		{nats.ErrTimeout, false}, {jetstream.ErrNoStreamResponse, false}, {nats.ErrDisconnected, false},
	} {
		if got := Hopeless(fmt.Errorf("wrapped: %w", test.err)); got != test.want {
			t.Errorf("%v is hopeless: %v", test.err, got)
		}
	}
}

// Without JetStream, and where that was asked for, a message is published and
// nobody says that it is stored.
func TestJournal_PublishesUnheard(t *testing.T) {
	nc, _ := natstest.Client(t, natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false }).ClientURL())
	sub, err := nc.SubscribeSync("notes.a")
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	j := New(conntest.Open(t, nc.ConnectedUrl()), 1<<20, nil, zap.NewNop())
	j.unacknowledged.Store(true)
	told := 0
	again, err := j.storeBatch(t.Context(), []Entry{{Msg: note(1), Done: func(ack *jetstream.PubAck, err error) {
		if told++; ack != nil || err != nil {
			t.Errorf("told %v, %v", ack, err)
		}
	}}})
	if len(again) != 0 || err != nil || told != 1 {
		t.Errorf("%d are tried again, %v; told %d times", len(again), err, told)
	}
	if m, err := sub.NextMsg(natstest.Patience); err != nil || string(m.Data) != "1" {
		t.Errorf("heard %+v, %v", m, err)
	}
}

// While NATS is away nothing goes into the connection's own buffer, which would
// send it after what comes later.
func TestJournal_KeepsWhatItCannotSend(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), 0)
	c := conntest.Open(t, server.ClientURL())
	j := New(c, 1<<20, nil, zap.NewNop())
	server.Shutdown()
	natstest.Within(t, "the loss", func() bool { return !c.Get().IsConnected() })
	for _, unheard := range []bool{false, true} {
		j.unacknowledged.Store(unheard)
		again, err := j.storeBatch(t.Context(), []Entry{{Msg: note(1)}})
		if buffered, _ := c.Get().Buffered(); len(again) != 1 || !errors.Is(err, nats.ErrDisconnected) || buffered != 0 {
			t.Errorf("%d are tried again, %v; %d bytes are buffered", len(again), err, buffered)
		}
	}
}

// What is to be tried once is found in a long queue only while there is some.
func TestJournal_CountsWhatIsToBeTriedOnce(t *testing.T) {
	j := New(conntest.Bare(), 1<<20, nil, zap.NewNop())
	for n := range 6 {
		if err := j.Write(Entry{Msg: note(n), Once: n%2 == 0}); err != nil {
			t.Fatal(err)
		}
	}
	if j.take(3); j.once != 1 { // the first and the third
		t.Errorf("of those that wait %d are to be tried once", j.once)
	}
	if once := j.takeOnce(); len(once) != 1 || j.once != 0 || j.waiting.Len() != 2 {
		t.Errorf("%d are taken, %d are left, %d wait", len(once), j.once, j.waiting.Len())
	}
	if once := j.takeOnce(); once != nil {
		t.Errorf("%d more are taken", len(once))
	}
}

// The audit and the shared keys take an answer without an error, a sequence or
// their own stream's name for no acknowledgement either.
func TestJournal_TakesOnlyAnAcknowledgement(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	nc, _ := natstest.Client(t, s.ClientURL())
	const ack = `{"stream":"NOTES","seq":7}`
	answers := []string{
		`{"error":{"code":503,"description":"raft: not leader"},"stream":"NOTES","seq":0}`,
		`{"error":{"code":503},"stream":"NOTES","seq":7}`,
		`{"stream":"NOTES","seq":0}`,
		`{"stream":"NOTES"}`,
		`{"stream":"OTHER","seq":7}`,
		`{}`,
		ack,
	}
	var asked atomic.Int64
	if _, err := nc.Subscribe("notes.a", func(m *nats.Msg) {
		_ = m.Respond([]byte(answers[min(int(asked.Add(1)), len(answers))-1]))
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	var ends []error
	j := New(conntest.Open(t, nc.ConnectedUrl()), 1<<20, nil, zap.NewNop())
	write := func(once bool) error {
		return j.Write(Entry{Msg: note(1), Once: once, Done: func(a *jetstream.PubAck, err error) {
			if err == nil && a.Sequence != 7 {
				err = errors.New("another sequence")
			}
			ends = append(ends, err)
		}})
	}
	for range answers {
		if err := write(true); err != nil { // as a claim of a key is written
			t.Fatal(err)
		}
		_ = j.store(t.Context(), 1)
	}
	for i, err := range ends {
		if (err == nil) != (answers[i] == ack) {
			t.Errorf("%s: %v", answers[i], err)
		}
	}
	if asked.Store(0); write(false) != nil { // as a record of the audit is
		t.Fatal("not taken")
	}
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	for tries := 1; ; tries++ {
		err := j.store(ctx, 1)
		if err == nil && tries == len(answers) {
			break
		}
		if err == nil || tries == len(answers) {
			t.Fatalf("%d tries, of answers that are no acknowledgement but the %d'th: %v", tries, len(answers), err)
		}
	}
	if n := len(ends); n != len(answers)+1 || ends[n-1] != nil {
		t.Errorf("%v", ends)
	}
}

// A record counts as stored when AMI_AUDIT says so, not when another stream does.
func TestJournal_AnotherStreamsWordDoesNotCount(t *testing.T) {
	nc, _ := natstest.Client(t, natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false }).ClientURL())
	names := make(chan string, 2)
	names <- "OTHER"
	names <- "NOTES"
	natstest.Answer(t, nc, "notes.a", func(m *nats.Msg) *nats.Msg {
		return &nats.Msg{Data: []byte(`{"stream":"` + <-names + `","seq":1}`)}
	})
	j := New(conntest.Open(t, nc.ConnectedUrl()), 1<<20, nil, zap.NewNop())
	told := make(chan string, 2)
	batch := []Entry{{Msg: note(1), Done: func(ack *jetstream.PubAck, err error) { told <- ack.Stream }}}
	again, err := j.storeBatch(t.Context(), batch)
	if len(again) != 1 || err == nil || !strings.Contains(err.Error(), "OTHER") {
		t.Errorf("another stream's word: %d are tried again, %v", len(again), err)
	}
	if again, err = j.storeBatch(t.Context(), again); len(again) != 0 || err != nil || <-told != "NOTES" || len(told) != 0 {
		t.Errorf("its own: %d are tried again, %v", len(again), err)
	}
}
