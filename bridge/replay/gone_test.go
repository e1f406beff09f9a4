package replay

import (
	"strings"
	"testing"
	"time"
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
