package streams

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// The limit of a tier is that of one copy, what is used is counted in all; one without tiers is of all copies.
func TestRoom_CountsCopies(t *testing.T) {
	limits := jetstream.AccountLimits{MaxStore: 1000, MaxStreams: -1, StoreMaxStreamBytes: -1}
	flat := func(used, reserved uint64) *jetstream.AccountInfo {
		return &jetstream.AccountInfo{Tier: jetstream.Tier{Store: used, ReservedStore: reserved, Limits: limits}}
	}
	tiered := func(used, reserved uint64) *jetstream.AccountInfo {
		return &jetstream.AccountInfo{Tiers: map[string]jetstream.Tier{"R3": {Store: used, ReservedStore: reserved, Limits: limits}}}
	}
	for _, test := range []struct {
		name        string
		info        *jetstream.AccountInfo
		replicas    int
		lacks, full string
	}{
		{"unknown", nil, 3, "", ""},
		{"flat, one copy", flat(0, 600), 1, "", ""},
		{"flat, three", flat(0, 0), 3, "it would take 1200", ""},
		{"flat, set aside", flat(0, 601), 1, "601 are set aside", ""},
		{"flat, used", flat(901, 0), 1, "", "has 1000 bytes of storage, and 901 are used"},
		{"flat, used by three", flat(701, 0), 3, "it would take", "has 1000 bytes of storage"},
		{"tiered", tiered(2700, 600), 3, "", ""},
		{"tiered, used", tiered(2701, 601), 3, "601 are set aside", "has 3000 bytes of storage, and 2701 are used"},
		{"no such tier", tiered(0, 0), 1, "for streams of R3, not of R1", "for streams of R3, not of R1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := room{info: test.info}
			want := jetstream.StreamConfig{Replicas: test.replicas, MaxBytes: 400}
			says(t, r.lacks(want), test.lacks)
			says(t, r.usedUp(&jetstream.StreamInfo{Config: want, State: jetstream.StreamState{Msgs: 10, Bytes: 1000}}), test.full)
		})
	}
}

// says wants text in err, or no error.
func says(t *testing.T, err error, text string) {
	t.Helper()
	if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want %q", err, text)
	}
}
