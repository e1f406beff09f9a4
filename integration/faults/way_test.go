//go:build unix

package faults

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// The ways in which events are acknowledged, as the metrics name them.
const (
	fastIngest = "fast_ingest"
	window     = "window"
)

var ways = []string{fastIngest, window}

// ways are those that f is tried with.
func (f *fault) ways() []string {
	if f.release != "" {
		return ways[1:]
	}
	return ways
}

// keepStreams has the bridge's streams made beforehand, as it makes them but,
// for the window, without fast ingest. Then it leaves them as they are: its first
// event shows whether there is fast ingest.
func (r *rig) keepStreams(c *config.Config) {
	maker := startBridge(r.t, *c)
	cfg := r.stream().CachedInfo().Config
	if err := maker.Stop(); err != nil {
		r.t.Fatal(err)
	}
	r.awaitSilence()
	cfg.AllowBatchPublish = r.delivery == fastIngest
	if _, err := r.js.UpdateStream(r.t.Context(), cfg); err != nil {
		r.t.Fatal(err)
	}
	c.Streams = config.StreamsVerify
}

// goesBy wants the events to be acknowledged that way. The stream's word about
// fast ingest may be under way still.
func (r *running) goesBy(way string) {
	r.T.Helper()
	harness.Eventually(r.T, "the way of delivery is "+way, func() bool { return r.By("way")[way]["delivery"] == 1 })
}

// inFlight bounds what the window has in flight of a server, and so by how much
// a repeat may be late.
const inFlight = 1024

// promised reports whether the stream holds what docs/delivery.md promises.
func (f *fault) promised(way string, a account) bool {
	if way == window && (f.nodes > 1 || f.singles) && a.shift < inFlight {
		a.disorder, a.shift = 0, 0
	}
	return a.whole()
}

// With the window, where the leader changes or single events are refused, events
// may be out of order. Nothing else may be wrong with them.
func TestFaults_WantWhatIsPromised(t *testing.T) {
	alone, cluster, limit := fault{nodes: 1}, fault{nodes: 3}, fault{nodes: 1, singles: true}
	whole, late := account{sent: 9}, account{sent: 9, disorder: 2, shift: inFlight - 1}
	for _, test := range []struct {
		way string
		fault
		account
		want bool
	}{
		{fastIngest, alone, whole, true},
		{fastIngest, cluster, whole, true},
		{fastIngest, cluster, late, false},
		{window, alone, whole, true},
		{window, alone, late, false},
		{window, limit, late, true},
		{fastIngest, limit, late, false},
		{window, cluster, whole, true},
		{window, cluster, late, true},
		{window, cluster, account{sent: 9, disorder: 1, shift: inFlight}, false},
		{window, cluster, account{sent: 9, disorder: 2, shift: 4, missing: 1}, false},
		{window, cluster, account{sent: 9, disorder: 2, shift: 4, twice: 1}, false},
		{window, cluster, account{sent: 9, disorder: 2, shift: 4, wrong: 1}, false},
		{window, cluster, account{sent: 9, disorder: 2, shift: 4, gaps: 1}, false},
	} {
		if got := test.promised(test.way, test.account); got != test.want {
			t.Errorf("%s, %d nodes, singles: %v, %v: %v", test.way, test.nodes, test.singles, test.account, got)
		}
	}
}
