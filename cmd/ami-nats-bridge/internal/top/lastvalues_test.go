package top

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// kept is a NATS that keeps what bridges say, in a stream of which so many consumers may be; 0: any number.
func kept(t *testing.T, consumers int) (url string, nc *nats.Conn, js jetstream.JetStream, stream jetstream.Stream) {
	t.Helper()
	url = natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, js = natstest.Client(t, url)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "AMI_STATUS", Subjects: []string{"ami.status.>", "ami.nodes.>"}, MaxMsgsPerSubject: 1, MaxConsumers: consumers,
	})
	if err != nil {
		t.Fatal(err)
	}
	return url, nc, js, stream
}

// Whoever asks how all is, again and again, leaves nothing behind on nats-server: an account's consumers are counted.
func TestAsk_LeavesNoConsumer(t *testing.T) {
	t.Parallel()
	url, nc, js, stream := kept(t, 0)
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "AMI_STATE"}); err != nil {
		t.Fatal(err)
	}
	bridge(t, nc, time.Now(), "pbx1")
	within(t, "what it said is kept", func() bool {
		of, err := stream.Info(t.Context())
		return err == nil && of.State.Msgs == 2
	})
	deleted := make(chan *nats.Msg, 100)
	if _, err := nc.ChanSubscribe("$JS.API.CONSUMER.DELETE.AMI_STATUS.*", deleted); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if snap, _, err := Ask(t.Context(), ReaderOptions{Prefix: "ami", Interval: patience, Connect: dialer(url)}); err != nil || len(snap.Servers) != 1 {
			t.Fatalf("%+v, %v", snap, err)
		}
	}
	state, err := js.Stream(t.Context(), "KV_AMI_STATE")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // not only once it has been idle for long
		<-deleted
	}
	within(t, "no consumer is left", func() bool {
		of, err1 := stream.Info(t.Context())
		of2, err2 := state.Info(t.Context())
		return err1 == nil && err2 == nil && of.State.Consumers+of2.State.Consumers == 0
	})
}

// Last values that cannot be read are an error, and one that who asks can wait for.
func TestLastValues_CannotBeRead(t *testing.T) {
	t.Parallel()
	_, nc, js, stream := kept(t, 1)
	bridge(t, nc, time.Now(), "pbx1")
	none := func(jetstream.Msg, time.Duration) bool { return true }
	if err := LastValues(t.Context(), js, statusSubjects("ami"), none); err != nil {
		t.Errorf("with room for one: %v", err)
	}
	within(t, "another's takes the only place", func() bool {
		_, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "other"})
		return err == nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := LastValues(ctx, js, statusSubjects("ami"), none); err == nil || !strings.Contains(err.Error(), "maximum consumers limit") {
		t.Errorf("without: %v", err)
	}
}

// Where NATS keeps nothing each bridge is listened to until it has said all: one server's first word is not how all are.
func TestAsk_NothingIsKept(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, _ := natstest.Client(t, url)
	snap, unread := saidOneByOne(t, nc, url)
	if unread != "" || snap.ExitCode() != 1 || len(snap.Servers) != 2 {
		t.Errorf("%d servers, exit code %d, %q", len(snap.Servers), snap.ExitCode(), unread)
	}
}

// saidOneByOne asks how all is while a bridge says first of pbx1 that it is up, and then of pbx2 that it is not.
func saidOneByOne(t *testing.T, nc *nats.Conn, url string) (snap *view.Snapshot, unread string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, src, err := Ask(t.Context(), ReaderOptions{Prefix: "ami", Interval: time.Second, Connect: dialer(url)})
		if snap, unread = got, src.Unread; err != nil {
			t.Error(err)
		}
	}()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for first := true; ; first = false {
		select {
		case <-done:
			return snap, unread
		case <-ticker.C:
			at := text(time.Now())
			say := func(subject string, msg fields) {
				if err := nc.Publish(subject, marshal(fields{"node": "b1", "at": at}.with(msg))); err != nil {
					t.Error(err)
				}
			}
			session := func(state string) fields {
				return fields{"role": "event", "to": state, "since": at, "reason": "closed", "sessions": fields{"event": state}}
			}
			say("ami.nodes.b1", fields{"nats": "CONNECTED"})
			if say("ami.status.pbx1.connection", session("up")); !first {
				say("ami.status.pbx2.connection", session("waiting"))
			}
		}
	}
}

// Without the last values a bridge that is gone is not seen, nor what was said before: it is listened for an interval, all that
// is said then is taken, and what could not be read is told.
func TestAsk_WithoutLastValues(t *testing.T) {
	t.Parallel()
	url, nc, _, stream := kept(t, 1)
	if _, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "other"}); err != nil {
		t.Fatal(err)
	}
	snap, unread := saidOneByOne(t, nc, url)
	if len(snap.Servers) != 2 || snap.ExitCode() != 1 || !strings.Contains(unread, "maximum consumers limit") {
		t.Errorf("%d servers, exit code %d, %q", len(snap.Servers), snap.ExitCode(), unread)
	}
}

// A stream that was made anew has not yet what each server said: it is listened until each has.
func TestAsk_LastValuesOfSomeServers(t *testing.T) {
	t.Parallel()
	url, nc, _, stream := kept(t, 0)
	bridge(t, nc, time.Now(), "pbx1", "pbx2")
	for _, subject := range []string{"ami.nodes.>", "ami.status.pbx2.>"} {
		if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject(subject)); err != nil {
			t.Fatal(err)
		}
	}
	snap := askedWhile(t, url, func() { bridge(t, nc, time.Now(), "pbx1", "pbx2") })
	if snap.ExitCode() != 1 || len(snap.Servers) != 2 {
		t.Errorf("exit code %d, %+v", snap.ExitCode(), snap.Servers)
	}
}
