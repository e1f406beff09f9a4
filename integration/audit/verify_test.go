package audit

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// evidence is what two bridges, of which b1 was started three times, left in the
// stream: b1 on pbx1 the sequences 1 to 5, then on pbx2 6 and 7; b2 on pbx1 8 to
// 10; b1 on pbx1 11 to 14.
func evidence(t *testing.T) (r *harness.Running, all []*nats.Msg) {
	t.Helper()
	url := harness.NATS(t)
	_, addr := harness.Sim(t, amisim.Config{})
	r = harness.Bridge(t, url, harness.ChaosConfig, harness.ChaosServer("pbx1", addr), harness.ChaosServer("pbx2", addr))
	ask := func(r *harness.Running, server string, times int) {
		for range times {
			harness.Succeeds(t, r.Call(server, "CoreSettings", "", "Ami-Requester", "alice"))
		}
	}
	ask(r, "pbx1", 5)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	second := func(c *config.Config) { harness.ChaosConfig(c); c.Node = "b2" }
	other := harness.Bridge(t, url, second, harness.ChaosServer("pbx1", addr))
	r = harness.Bridge(t, url, harness.ChaosConfig, harness.ChaosServer("pbx2", addr))
	ask(r, "pbx2", 2)
	r.RecordsOf(t, 7)
	ask(other, "pbx1", 3)
	if err := other.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	r = harness.Bridge(t, url, harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	ask(r, "pbx1", 4)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, record := range r.RecordsOf(t, 14) {
		m := nats.NewMsg(record.Subject)
		m.Header.Set("Nats-Msg-Id", record.ID)
		m.Data = record.Text
		all = append(all, m)
	}
	return r, all
}

// rewriteAudit puts other messages into the stream, as whoever rules NATS can.
func rewriteAudit(r *harness.Running, messages []*nats.Msg, first uint64) *replay.Source {
	r.T.Helper()
	js := harness.JetStream(r.T, r.Client)
	if err := js.DeleteStream(r.T.Context(), streams.AuditStream); err != nil {
		r.T.Fatal(err)
	}
	_, err := js.CreateStream(r.T.Context(), jetstream.StreamConfig{
		Name: streams.AuditStream, Subjects: []string{"ami.audit.>"}, AllowDirect: true, FirstSeq: first,
		Storage: jetstream.MemoryStorage, // of a stream just deleted files may still be there
	})
	if err != nil {
		r.T.Fatal(err)
	}
	for i, m := range messages {
		again := nats.NewMsg(m.Subject)
		again.Data, again.Header = m.Data, nats.Header{"Nats-Msg-Id": m.Header["Nats-Msg-Id"]}
		if slices.Contains(messages[:i], m) {
			again.Header = nil // the stream would know it again
		}
		if _, err := js.PublishMsg(r.T.Context(), again); err != nil {
			r.T.Fatal(err)
		}
	}
	return &replay.Source{Conn: r.Client, API: "$JS.API", Stream: streams.AuditStream}
}

func verdicts(t *testing.T, source *replay.Source, v *replay.Verifier) []replay.Verdict {
	t.Helper()
	v.Prefix = "ami"
	if err := source.Verify(t.Context(), v, nil); err != nil {
		t.Fatal(err)
	}
	return v.Verdicts()
}

// verdict is what is found, in short: breaks and notes.
func verdict(t *testing.T, source *replay.Source, v *replay.Verifier) string {
	t.Helper()
	var all []string
	for _, one := range verdicts(t, source, v) {
		for _, b := range one.Breaks {
			all = append(all, fmt.Sprintf("%s: %s at %d (%d)", one.Server, b.Kind, b.Sequence, b.Count))
		}
		for _, note := range one.Notes {
			all = append(all, one.Server+": note: "+note)
		}
	}
	return strings.Join(all, "; ")
}

// edited is m with another payload.
func edited(m *nats.Msg, old, replacement string) *nats.Msg {
	changed := nats.NewMsg(m.Subject)
	changed.Header.Set("Nats-Msg-Id", m.Header.Get("Nats-Msg-Id"))
	changed.Data = []byte(strings.Replace(string(m.Data), old, replacement, 1))
	return changed
}

func TestAuditVerify_NamesWhatWasDone(t *testing.T) {
	r, all := evidence(t)
	source := &replay.Source{Conn: r.Client, API: "$JS.API", Stream: streams.AuditStream}
	if got := verdict(t, source, new(replay.Verifier)); got != "" {
		t.Fatalf("as the bridges left it: %s", got)
	}
	change := func(i int, old, replacement string) []*nats.Msg {
		return slices.Concat(all[:i], []*nats.Msg{edited(all[i], old, replacement)}, all[i+1:])
	}
	without := func(from, to int) []*nats.Msg { return slices.Concat(all[:from], all[to:]) }
	foreign := edited(all[13], `"node":"b1"`, `"node":"b9"`)
	foreign.Header.Set("Nats-Msg-Id", foreign.Header.Get("Nats-Msg-Id")+"9") // or the stream knows it
	for name, test := range map[string]struct {
		messages []*nats.Msg
		first    uint64
		want     string // a pattern
	}{
		"a word is changed":           {change(2, "alice", "mallory"), 1, `pbx1: changed at 3 \(0\)`},
		"the last of a run":           {change(4, "alice", "mallory"), 1, `pbx1: changed or missing at 8 \(0\)`},
		"one is taken out":            {without(2, 3), 1, `pbx1: missing at 3 \(1\)`},
		"two are taken out":           {without(1, 3), 1, `pbx1: missing at 2 \(2\)`},
		"the end of a run":            {without(3, 5), 1, `pbx1: changed or missing at 6 \(0\)`},
		"the first":                   {without(0, 1), 1, `pbx1: missing at 1 \(1\)`},
		"two change places":           {slices.Concat(all[:1], []*nats.Msg{all[2], all[1]}, all[3:]), 1, `pbx1: reordered at 2 \(1\)`},
		"one is there twice":          {slices.Concat(all[:3], all[1:2], all[3:]), 1, `pbx1: repeated at 4 \(0\)`},
		"one is on another server":    {slices.Concat(all[:7], []*nats.Msg{moved(all[7], "ami.audit.pbx2.CoreSettings")}, all[8:]), 1, `pbx1: missing at 9 \(1\); pbx2: foreign at 8 \(0\)`},
		"the chain begins again":      {change(10, `"prev":"`, `"prev":"genesis","was":"`), 1, `pbx1: restarted at 11 \(0\); pbx1: changed at 11 \(0\)`},
		"another node joins":          {slices.Concat(all, []*nats.Msg{foreign}), 1, `pbx1: foreign at 15 \(0\);.*`},
		"somebody's own":              {slices.Concat(all, []*nats.Msg{{Subject: "ami.audit.pbx1.Ping", Data: []byte("{}")}}), 1, `pbx1: foreign at 15 \(0\)`},
		"no JSON":                     {slices.Concat(all[:1], []*nats.Msg{{Subject: "ami.audit.pbx1.Ping"}}, all[1:]), 1, `pbx1: foreign at 2 \(0\)`},
		"the oldest have aged":        {without(0, 2), 3, `: note: the stream begins with sequence 3: .*; pbx1: note: run \w+ of b1 begins with number 3, sequence 3: what was before is no longer in the stream`},
		"they have, up to a new run":  {without(0, 7), 8, `: note: .* sequence 8: .*; pbx1: note: run \w+ of b2, sequence 8, follows a record that is no longer in the stream`},
		"they have, and one is taken": {slices.Concat(all[2:3], all[4:]), 3, `: note: .*; pbx1: missing at 4 \(1\); pbx1: note: .*number 3.*`},
		"all is there and empty":      {nil, 1, `: note: the stream is empty`},
	} {
		t.Run(name, func(t *testing.T) {
			got := verdict(t, rewriteAudit(r, test.messages, test.first), new(replay.Verifier))
			if !regexp.MustCompile(`^` + test.want + `$`).MatchString(got) {
				t.Errorf("found %s\nwant %s", got, test.want)
			}
		})
	}
}

func moved(m *nats.Msg, subject string) *nats.Msg {
	return &nats.Msg{Subject: subject, Header: m.Header, Data: m.Data}
}

// What the chain alone cannot show, pinned heads and known nodes do.
func TestAuditVerify_PinsAndNodes(t *testing.T) {
	r, all := evidence(t)
	source := &replay.Source{Conn: r.Client, API: "$JS.API", Stream: streams.AuditStream}
	heads := map[string]string{}
	for _, one := range verdicts(t, source, &replay.Verifier{Nodes: []string{"b1", "b2"}}) {
		if one.Broken > 0 {
			t.Errorf("%+v", one)
		}
		for _, head := range one.Heads {
			heads[one.Server] += head.Hash
		}
	}
	if len(heads["pbx1"]) != 64 || len(heads["pbx2"]) != 64 {
		t.Fatalf("heads %q", heads)
	}
	pins := []string{heads["pbx1"], heads["pbx2"]}
	if got := verdict(t, source, &replay.Verifier{Pins: pins}); got != "" {
		t.Errorf("untouched: %s", got)
	}
	if got := verdict(t, source, &replay.Verifier{Nodes: []string{"b1"}}); !strings.HasPrefix(got, "pbx1: foreign at 8 (0); pbx1: foreign at 9") {
		t.Errorf("without b2: %s", got)
	}
	cut := rewriteAudit(r, all[:12], 1)
	if got := verdict(t, cut, new(replay.Verifier)); got != "" {
		t.Errorf("that the newest are missing shows by itself, which docs/audit.md denies: %s", got)
	}
	if got := verdict(t, cut, &replay.Verifier{Pins: pins}); got != ": absent at 12 (0)" {
		t.Errorf("the newest are missing: %s", got)
	}
	// The whole chain computed anew: only a pin shows it.
	forged := rechained(t, all, "alice", "mallory")
	if got := verdict(t, rewriteAudit(r, forged, 1), new(replay.Verifier)); got != "" {
		t.Errorf("a chain made anew shows by itself, which docs/audit.md denies: %s", got)
	}
	if got := verdict(t, rewriteAudit(r, forged, 1), &replay.Verifier{Pins: pins}); got != ": absent at 14 (0); : absent at 14 (0)" {
		t.Errorf("a chain made anew: %s", got)
	}
}

// rechained changes a word everywhere, and all hashes with it.
func rechained(t *testing.T, all []*nats.Msg, old, replacement string) (forged []*nats.Msg) {
	t.Helper()
	hashes := map[string]string{}
	for _, m := range all {
		var r struct{ Prev string }
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		one := edited(m, old, replacement)
		if now, ok := hashes[r.Prev]; ok {
			one = edited(one, r.Prev, now)
		}
		hashes[fmt.Sprintf("%x", sha256.Sum256(m.Data))] = fmt.Sprintf("%x", sha256.Sum256(one.Data))
		forged = append(forged, one)
	}
	return forged
}

// What honest bridges do is no break: two of them on one server at once, both
// from the first record on, with intents, and one started again among the calls
// of the other.
func TestAuditVerify_HonestBridgesBreakNothing(t *testing.T) {
	url := harness.NATS(t)
	_, addr := harness.Sim(t, amisim.Config{})
	as := func(node string) func(*config.Config) {
		return func(c *config.Config) {
			harness.ChaosConfig(c)
			c.Node, c.Audit = node, config.AuditStrict
		}
	}
	b1 := harness.Bridge(t, url, as("b1"), harness.ChaosServer("pbx1", addr))
	b2 := harness.Bridge(t, url, as("b2"), harness.ChaosServer("pbx1", addr))
	asked := 0
	ask := func() {
		for range 40 {
			harness.Succeeds(t, b1.Call("pbx1", "CoreSettings", ""))
			asked++
		}
	}
	ask()
	if err := b2.Stop(); err != nil {
		t.Fatal(err)
	}
	ask()
	harness.Bridge(t, url, as("b2"), harness.ChaosServer("pbx1", addr))
	ask()
	b1.RecordsOf(t, 2*asked)
	source := &replay.Source{Conn: b1.Client, API: "$JS.API", Stream: streams.AuditStream}
	for _, one := range verdicts(t, source, &replay.Verifier{Nodes: []string{"b1", "b2"}}) {
		if one.Server != "pbx1" || one.Broken > 0 || one.Records != uint64(2*asked) || one.Runs != 3 || len(one.Heads) > one.Runs {
			t.Errorf("%+v", one)
		}
		for _, note := range one.Notes {
			if !strings.Contains(note, "beside another node") {
				t.Errorf("noted: %s", note)
			}
		}
		for _, b := range one.Breaks {
			t.Errorf("%+v", *b)
		}
	}
}
