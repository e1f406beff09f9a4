package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// streamsNATS is a server on which whoever gives no name may do all, and the
// user bridge all but to publish to what is denied.
func streamsNATS(t *testing.T, change func(*server.Options), denied ...string) (url string) {
	t.Helper()
	return natstest.Serve(t, func(o *server.Options) {
		o.NoAuthUser = "admin"
		o.Users = []*server.User{{Username: "admin", Password: "a"}, {
			Username: "bridge", Password: "b",
			Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: denied}},
		}}
		if change != nil {
			change(o)
		}
	}).ClientURL()
}

// makes makes streams.
func makes(t *testing.T, url string, configs ...jetstream.StreamConfig) {
	t.Helper()
	js := jetStreamOf(t, url)
	for _, c := range configs {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func jetStreamOf(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(dialNATS(t, url), jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// allStreams is what there is, but for when it was asked.
func allStreams(t *testing.T, url string) map[string]jetstream.StreamInfo {
	t.Helper()
	all := map[string]jetstream.StreamInfo{}
	lister := jetStreamOf(t, url).ListStreams(t.Context())
	for info := range lister.Info() {
		info.TimeStamp = time.Time{}
		if info.Mirror != nil {
			info.Mirror.Active = 0 // since when the mirror was last heard of
		}
		all[info.Config.Name] = *info
	}
	if err := lister.Err(); err != nil && !errors.Is(err, nats.ErrNoResponders) { // there may be no JetStream
		t.Fatal(err)
	}
	return all
}

// saysOfStreams is what check says of the streams, and fails if it changes any.
func saysOfStreams(t *testing.T, url string, variables ...string) (lines []string, s *env.Settings) {
	t.Helper()
	s = load(t, envtest.One(append(variables, "BRIDGE_NATS_URL="+url, "BRIDGE_NATS_USER=bridge", "BRIDGE_NATS_PASSWORD=b", "BRIDGE_HTTP_ADDR=")...)...)
	before := allStreams(t, url)
	for _, f := range checkNATS(t.Context(), s, noTime).found {
		if line := fmt.Sprintf("%-4s  %s", f.Verdict, f.Text); strings.Contains(line, "stream") || strings.Contains(line, "JetStream") {
			lines = append(lines, line)
		}
	}
	if diff := cmp.Diff(before, allStreams(t, url)); diff != "" {
		t.Errorf("check changes what it checks (-before +after):\n%s", diff)
	}
	return lines, s
}

// says compares the lines with want, of which each is the beginning of one.
func says(t *testing.T, lines []string, want ...string) {
	t.Helper()
	if !slices.EqualFunc(lines, want, strings.HasPrefix) {
		t.Errorf("check says\n\t%s\nwant\n\t%s", strings.Join(lines, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// runOnce starts a bridge and ends it.
func runOnce(t *testing.T, cfg config.Config) {
	t.Helper()
	b, err := bridge.New(cfg, bridge.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-b.Ready():
	case <-time.After(patience):
		t.Error("the bridge is not ready")
	}
}

var allWell = []string{
	"ok    no stream captures ami.actions.>", "ok    stream AMI_STATUS is as configured", "ok    stream AMI_AUDIT is as configured",
	"ok    stream KV_AMI_STATE is as configured", "ok    stream AMI_EVENTS is as configured", "ok    stream KV_AMI_IDEMPOTENCY is as configured",
}

// What check says that the bridge makes and changes it does make and change.
func TestCheckStreams_SaysWhatTheBridgeWouldDo(t *testing.T) {
	url := streamsNATS(t, nil)
	makes(t, url, jetstream.StreamConfig{
		Name: streams.EventStream, Subjects: []string{"ami.events.>"}, MaxAge: time.Hour, MaxBytes: 10 << 30, NoAck: true,
		Compression: jetstream.S2Compression, AllowDirect: true, AllowBatchPublish: true,
	})
	const made, changes = "is not there yet: the bridge makes it when it starts",
		"the bridge changes it when it starts, if it may publish to $JS.API.STREAM.UPDATE.AMI_EVENTS; meanwhile "
	lines, s := saysOfStreams(t, url)
	says(t, lines, allWell[0], "ok    stream AMI_STATUS "+made, "ok    stream AMI_AUDIT "+made, "ok    stream KV_AMI_STATE "+made,
		"note  stream AMI_EVENTS: no_ack is true, not false: "+changes+"nothing that is stored is acknowledged",
		"note  stream AMI_EVENTS: max_age is 1h0m0s, not 720h0m0s: "+changes+"messages go sooner",
		"ok    stream KV_AMI_IDEMPOTENCY "+made)
	runOnce(t, s.Bridge)
	lines, _ = saysOfStreams(t, url)
	says(t, lines, allWell...)
	lines, _ = saysOfStreams(t, url, "BRIDGE_STREAMS=verify")
	says(t, lines, allWell...)
}

// What is left stops delivery, loses, or does neither: only that is a note.
func TestCheckStreams_SaysWhatIsLeft(t *testing.T) {
	url := streamsNATS(t, nil)
	makes(t, url, jetstream.StreamConfig{
		Name: streams.EventStream, Subjects: []string{"ami.events.>"}, Storage: jetstream.MemoryStorage, MaxAge: 1000 * time.Hour,
		MaxBytes: 1 << 20, AllowDirect: true, AllowBatchPublish: true, NoAck: true,
	})
	const byHand, byNobody = "left: the change could lose what is stored: make it by hand", "left: nats-server does not change it: make the stream anew"
	lines, _ := saysOfStreams(t, url, "BRIDGE_AUDIT=off", "BRIDGE_IDEMPOTENCY_WINDOW=0", "BRIDGE_STATE=off")
	says(t, lines, allWell[0], "ok    stream AMI_STATUS is not there yet",
		"FAIL  stream AMI_EVENTS: storage is memory, not file: "+byNobody+", or leave it; meanwhile what is in memory is lost with its server",
		"note  stream AMI_EVENTS: no_ack is true", "note  stream AMI_EVENTS: compression is none, not s2: the bridge changes it",
		"note  stream AMI_EVENTS: max_age is 1000h0m0s, not 720h0m0s: "+byHand,
		"note  stream AMI_EVENTS: max_bytes is 1048576, not 10737418240: the bridge changes it")
	const verify = "left: BRIDGE_STREAMS=verify changes nothing"
	lines, _ = saysOfStreams(t, url, "BRIDGE_STREAMS=verify")
	says(t, lines, allWell[0], "FAIL  stream AMI_STATUS is missing: make it, or set BRIDGE_STREAMS=manage",
		"FAIL  stream AMI_AUDIT is missing", "note  stream KV_AMI_STATE is missing: make it, or set BRIDGE_STREAMS=manage; the state of the servers is off",
		"FAIL  stream AMI_EVENTS: storage is memory",
		"FAIL  stream AMI_EVENTS: no_ack is true, not false: "+verify+"; meanwhile nothing",
		"note  stream AMI_EVENTS: compression is none, not s2: "+verify, "note  stream AMI_EVENTS: max_age is 1000h0m0s, not 720h0m0s: "+byHand,
		"note  stream AMI_EVENTS: max_bytes is 1048576, not 10737418240: "+verify+"; meanwhile less is kept",
		"note  stream KV_AMI_IDEMPOTENCY is missing: make it, or set BRIDGE_STREAMS=manage; meanwhile an Ami-Idempotency-Key")
	lines, _ = saysOfStreams(t, url, "BRIDGE_STREAMS=off", "BRIDGE_IDEMPOTENCY_WINDOW=0", "BRIDGE_AUDIT=off", "BRIDGE_STATE=off")
	says(t, lines, allWell[0], "note  stream AMI_STATUS is not looked at", "note  stream AMI_EVENTS is not looked at")
}

// No bridge starts beside a stream that captures requests, nor works with one
// that takes nothing.
func TestCheckStreams_SaysWhatStopsTheBridge(t *testing.T) {
	quiet := []string{"BRIDGE_AUDIT=off", "BRIDGE_IDEMPOTENCY_WINDOW=0", "BRIDGE_STATE=off"}
	made := []string{"ok    stream AMI_STATUS is not there yet", "ok    stream AMI_EVENTS is not there yet"}
	for name, test := range map[string]struct {
		url  string
		made []jetstream.StreamConfig
		set  []string
		want []string
	}{
		"captured": {
			streamsNATS(t, nil),
			[]jetstream.StreamConfig{{Name: "GREEDY", Subjects: []string{"ami.actions.pbx1.*"}}},
			nil,
			append([]string{"FAIL  stream GREEDY captures ami.actions.>, so that its acknowledgement reaches callers as the reply: change its subjects; the bridge does not start"}, made...),
		},
		"mirror": {
			streamsNATS(t, nil),
			[]jetstream.StreamConfig{{Name: "OTHER", Subjects: []string{"o"}}, {Name: streams.EventStream, Mirror: &jetstream.StreamSource{Name: "OTHER"}}},
			nil, []string{allWell[0], made[0], "FAIL  stream AMI_EVENTS is read_only: it is a mirror of OTHER"},
		},
		"transform": {
			streamsNATS(t, nil),
			[]jetstream.StreamConfig{{
				Name: streams.EventStream, Subjects: []string{"ami.events.>"}, MaxBytes: 10 << 30, MaxAge: 720 * time.Hour,
				Compression: jetstream.S2Compression, AllowDirect: true, AllowBatchPublish: true,
				SubjectTransform: &jetstream.SubjectTransformConfig{Source: "ami.>", Destination: "old.>"},
			}},
			nil, []string{allWell[0], made[0], "FAIL  stream AMI_EVENTS: subject_transform is ami.> to old.>, not none: left: the change could lose"},
		},
		"denied": {
			streamsNATS(t, nil, "$JS.API.STREAM.INFO.AMI_EVENTS", "$JS.API.STREAM.NAMES"), nil, nil,
			[]string{
				"note  whether a stream captures ami.actions.> is not known: NATS does not let the bridge publish to $JS.API.STREAM.NAMES", made[0],
				"FAIL  stream AMI_EVENTS is no_permission: NATS does not let the bridge publish to $JS.API.STREAM.INFO.AMI_EVENTS",
			},
		},
		"no JetStream": {
			streamsNATS(t, func(o *server.Options) { o.JetStream = false }), nil, nil,
			[]string{"FAIL  nats: API error: code=503 err_code=10076 description=jetstream not enabled: enable JetStream, or give this leaf node the default_js_domain of its hub, or set BRIDGE_DELIVERY=core"},
		},
		"no JetStream, core, strict": {
			streamsNATS(t, func(o *server.Options) { o.JetStream = false }), nil, []string{"BRIDGE_DELIVERY=core", "BRIDGE_AUDIT=strict"},
			[]string{"FAIL  nats: API error"},
		},
		"core": {
			streamsNATS(t, nil), nil, []string{"BRIDGE_DELIVERY=core", "BRIDGE_STREAMS=verify"},
			[]string{allWell[0], "note  stream AMI_STATUS is missing: make it"},
		},
		"no JetStream, core": {
			streamsNATS(t, func(o *server.Options) { o.JetStream = false }), nil, []string{"BRIDGE_DELIVERY=core"},
			[]string{"note  no JetStream: BRIDGE_DELIVERY=core does without"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			makes(t, test.url, test.made...)
			lines, _ := saysOfStreams(t, test.url, append(quiet, test.set...)...)
			says(t, lines, test.want...)
		})
	}
}
