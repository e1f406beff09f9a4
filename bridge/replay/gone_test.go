package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// What was to be read and is gone by then is no end of the reading: it says so.
func TestRead_SaysWhatHasGoneMeanwhile(t *testing.T) {
	const events = 20
	for name, take := range map[string]func(*bench){
		"purged": purge,
		"purged, and more came": func(b *bench) {
			purge(b)
			b.tick("pbx1", "Hangup", time.Now())
		},
		"made anew": func(b *bench) { b.stream("AMI_EVENTS", "ami.events.>") },
		"made anew, and as many came": func(b *bench) {
			b.stream("AMI_EVENTS", "ami.events.>")
			b.pages(events)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.pages(events)
			n := 0
			err := b.source("AMI_EVENTS").Read(t.Context(), Selection{Prefix: "ami", Kind: "events"}, ReadAt, nil, func(*Message) error {
				if n++; n == 1 {
					take(b)
				}
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), "this is not all") {
				t.Errorf("%d of %d, %v", n, events, err)
			}
		})
	}
}

// So it is where the end is there still, and only what comes next has gone: nobody else watches what a filter reads.
func TestRead_SaysWhatHasGoneInItsMiddle(t *testing.T) {
	for name, gone := range map[string]jetstream.StreamPurgeOpt{
		"the oldest":       jetstream.WithPurgeSequence(20),
		"of other events":  jetstream.WithPurgeSubject("ami.events.pbx1.Newchannel"),
		"all but the last": jetstream.WithPurgeKeep(2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.tick("pbx1", "Newchannel", time.Now())
			b.pages(20)
			stream, err := b.js.Stream(t.Context(), "AMI_EVENTS")
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			err = b.source("AMI_EVENTS").Read(t.Context(), Selection{Prefix: "ami", Kind: "events", Names: []string{"Hangup"}}, ReadAt, nil, func(*Message) error {
				if n++; n == 1 {
					return stream.Purge(t.Context(), gone)
				}
				return nil
			})
			if name == "of other events" {
				if err != nil || n != 20 {
					t.Errorf("%d, %v", n, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), "this is not all") {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
}

// What expires before the chain is walked to its end is no break of the chain.
func TestVerify_SaysWhatHasGoneInItsMiddle(t *testing.T) {
	b := newBench(t)
	stream := b.stream("AMI_AUDIT", "ami.audit.>")
	for range 20 {
		if _, err := b.js.Publish(t.Context(), "ami.audit.pbx1.Ping", make([]byte, aheadBytes/16)); err != nil {
			t.Fatal(err)
		}
	}
	err := b.source("AMI_AUDIT").Verify(t.Context(), &Verifier{Prefix: "ami"}, func(p Progress) {
		if p.Read > 1 {
			return
		}
		if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(20)); err != nil {
			t.Error(err)
		}
	})
	if err == nil || !strings.Contains(err.Error(), "this is not all") {
		t.Error(err)
	}
}

// A page has room for what was read last and for one more, however large they are.
func TestRead_ReadsWhatIsLargerThanAPage(t *testing.T) {
	b := newBench(t)
	const names = 10
	sel := Selection{}
	for i := range 3 * names {
		name := fmt.Sprintf("E%d", i%names)
		b.event("pbx1", name, "s:1", time.Now(), strings.Repeat("x", aheadBytes/names+1))
		if i < names {
			sel.Names = append(sel.Names, name)
		}
	}
	if got := b.read(t.Context(), sel); len(got) != 3*names {
		t.Errorf("%d of %d", len(got), 3*names)
	}
}

func purge(b *bench) {
	b.t.Helper()
	stream, err := b.js.Stream(b.t.Context(), "AMI_EVENTS")
	if err != nil {
		b.t.Fatal(err)
	}
	if err := stream.Purge(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// So it is with a call's events, between the first of them and the others.
func TestReadCall_SaysWhatHasGoneMeanwhile(t *testing.T) {
	b := newBench(t)
	b.tick("pbx1", "Before", time.Now())
	b.aCall(time.Now(), "1.1")
	sel := Selection{Prefix: "ami", Kind: "events", From: time.Now().Add(-time.Minute)}
	err := b.source("AMI_EVENTS").ReadCall(t.Context(), sel, NewCall("1.1"), func(p Progress) {
		if p.Read == p.Total {
			purge(b)
		}
	}, func(*Event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "this is not all") {
		t.Error(err)
	}
}

func TestReadCall_SaysThatItsBeginningHasGoneMeanwhile(t *testing.T) {
	b := newBench(t)
	b.tick("pbx1", "Before", time.Now())
	b.aCall(time.Now(), "1.1")
	stream, err := b.js.Stream(t.Context(), "AMI_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	sel := Selection{Prefix: "ami", Kind: "events", From: time.Now().Add(-time.Minute)}
	n := 0
	err = b.source("AMI_EVENTS").ReadCall(t.Context(), sel, NewCall("1.1"), func(p Progress) {
		if p.Read == p.Total {
			if err := stream.Purge(t.Context(), jetstream.WithPurgeKeep(1)); err != nil {
				t.Error(err)
			}
		}
	}, func(*Event) error { n++; return nil })
	if err == nil || !strings.Contains(err.Error(), "this is not all") {
		t.Errorf("%d, %v", n, err)
	}
}
