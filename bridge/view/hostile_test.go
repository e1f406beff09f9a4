package view

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// hostile are values that a dialplan, or who can publish, may bring.
var hostile = []string{
	"<script>alert(1)</script>", "\x1b[2J\x1b[H", "\x1b]52;c;aGFjaw==\x07", "\u202egnp.exe", "\u2066\u2067\u2069", "\u009b31m", "a\r\nb\tc",
	"\x00\x7f\x80", strings.Repeat("x", 100_000), strings.Repeat("😀", 10_000), "\ufeff\u200b\u061c", "\U000e0041", "\u2028\u2029", "\xff\xfe",
}

// harmlessText says what is wrong about a text of a Snapshot; empty if nothing is.
func harmlessText(s string) string {
	if !utf8.ValidString(s) {
		return "no UTF-8"
	}
	if len(s) > 4*maxText {
		return fmt.Sprint(len(s), " bytes")
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && !joins(r) || r == '\u2028' || r == '\u2029' {
			return fmt.Sprintf("%U", r)
		}
	}
	return ""
}

// harmlessJSON looks at each text of a Snapshot.
func harmlessJSON(t interface{ Fatalf(string, ...any) }, snap *Snapshot) {
	raw, err := json.Marshal(snap)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var doc any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatalf("%v", err)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case string:
			if what := harmlessText(v); what != "" {
				t.Fatalf("%s: %s in %.200q", path, what, v)
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprint(path, "[", i, "]"), e)
			}
		case map[string]any:
			for k, e := range v {
				walk(path+"."+k, e)
			}
		}
	}
	walk("", doc)
}

// Whatever stands in a text is cleaned and bounded once, as it comes in.
func TestHostile_ValuesAreInert(t *testing.T) {
	t.Parallel()
	for _, bad := range hostile {
		w := watch(t)
		w.Status("ami.nodes.b1", marshal(fields{"node": "b1", "at": text(w.now), "version": bad, "servers": []string{"pbx1", bad}, "ready": []string{bad}, "nats": bad,
			"connections": fields{"events": bad, bad: bad}, "delivery": bad, "way": bad, "unanswered": []string{bad},
			"streams": []fields{{"name": bad, "state": bad, "error": bad, "since": nil}}}), w.now)
		w.Status("ami.status.pbx1.connection", marshal(fields{"node": "b1", "at": text(w.now), "since": bad, "role": "event", "to": "waiting", "reason": bad, "error": bad,
			"version": bad, "addr": bad, "sessions": fields{"event": bad, bad: bad, "action": bad}}), w.now)
		w.Status("ami.status.pbx1.breaker", marshal(fields{"node": "b1", "at": text(w.now), "since": bad, "to": bad, "reason": bad, "error": bad, "retry_at": bad}), w.now)
		w.Status("ami.status.pbx1.buffers", marshal(buffers(1, 1, fields{"node": "b1", "at": text(w.now), "trigger": bad, "dropped": fields{bad: 7},
			"outbox": buffer(1, 2, bad)})), w.now)
		w.Status("ami.status.pbx1.gap", marshal(fields{"node": "b1", "at": text(w.now), "from": text(w.now), "to": text(w.now), "reason": bad, "lost": 1}), w.now)
		w.Status("ami.status.pbx1.ha", marshal(fields{"node": "b1", "at": text(w.now), "leader": bad, "reason": bad, "standbys": []fields{{"node": bad, "state": bad, "lag": bad, "lag_s": bad}}}), w.now)
		w.Status("ami.status."+bad+".gap", marshal(fields{"node": "b1", "at": text(w.now)}), w.now)
		w.State("pbx1.server", marshal(fields{"state": bad, "since": bad}), w.now)
		w.State("pbx1.queue.q", marshal(fields{"Queue": bad}), w.now)
		w.State("pbx1.caller.q.1", marshal(fields{"Queue": bad, "CallerIDNum": bad, "Position": bad, "Since": bad}), w.now)
		w.State("pbx1.member.q.1", marshal(fields{"Queue": bad, "Interface": bad, "MemberName": bad, "Status": bad, "Paused": "1", "PausedReason": bad, "LastCall": bad}), w.now)
		w.State("pbx1.channel.1", marshal(fields{"Channel": bad, "CallerIDNum": bad, "ConnectedLineNum": bad, "ChannelStateDesc": bad, "Linkedid": bad}), w.now)
		w.State("pbx1.queue.=1B=5B2J=E2=80=AE", marshal(fields{}), w.now)
		w.State(bad, marshal(fields{}), w.now)
		w.pass(time.Second)
		for _, numbers := range []Numbers{NumbersFull, NumbersLast4} {
			snap := w.Snapshot(w.now, numbers)
			harmlessJSON(t, snap)
			equal(t, "servers", len(snap.Servers), 1)
			calls, _ := w.Calls("pbx1", numbers)
			for _, c := range calls {
				for _, s := range []string{c.Caller, c.With, c.State, c.Channel, c.Queue} {
					equal(t, "a call's text", harmlessText(s), "")
				}
			}
		}
	}
}

func marshal(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// Wrong JSON changes nothing and is counted.
func TestHostile_WrongJSON(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.live("pbx1")
	before := fmt.Sprintf("%+v", w.of("pbx1").Verdict)
	payloads := []string{"", "null", "[]", "7", `"x"`, "{", `{"node":"b1"}`, `{"node":7,"at":"x"}`, `{"node":"b 1","at":"2026-11-28T03:00:00Z"}`,
		`{"node":"b1","at":"2026-11-28T03:00:00Z","to":7}`, `{"node":"b1","at":"2026-11-28T03:00:00Z","received":-1,"lost":"x","since":7}`, strings.Repeat("[", 1<<20), strings.Repeat(" ", maxPayload+1)}
	for _, p := range payloads {
		for _, subject := range []string{"ami.status.pbx1.connection", "ami.status.pbx1.breaker", "ami.status.pbx1.buffers", "ami.status.pbx1.gap", "ami.nodes.b1", "ami.nodes.", "ami.status..gap", "ami.status.pbx1.", "other.status.pbx1.gap", ""} {
			w.Status(subject, []byte(p), w.now)
		}
		for _, key := range []string{"pbx1.queue.x", "pbx1.caller.q.1", "", "pbx1", ".", "pbx 1.queue.x"} {
			if p != "null" && p != "{" || key != "pbx1.queue.x" {
				w.State(key, []byte(p+"?"), w.now)
			}
		}
	}
	if w.ignored == 0 {
		t.Error("nothing was counted")
	}
	equal(t, "the verdict", fmt.Sprintf("%+v", w.of("pbx1").Verdict), before)
}

// All that is kept is bounded.
func TestBounds(t *testing.T) {
	t.Parallel()
	w := watch(t)
	for i := range maxServers + 10 {
		w.Status(fmt.Sprintf("ami.status.s%d.breaker", i), marshal(fields{"node": "b1", "at": text(w.now), "to": "closed"}), w.now)
	}
	equal(t, "servers", len(w.servers), maxServers)
	for i := range maxNodes + 10 {
		w.Status(fmt.Sprintf("ami.nodes.n%d", i), marshal(fields{"node": "x", "at": text(w.now)}), w.now)
	}
	equal(t, "nodes", len(w.nodes), maxNodes)
	sessions := fields{}
	for i := range 1000 {
		sessions[fmt.Sprintf("action%d", i)] = "up"
	}
	w.Status("ami.status.s1.connection", marshal(fields{"node": "b1", "at": text(w.now), "role": "event", "to": "up", "sessions": sessions}), w.now)
	equal(t, "sessions", len(w.servers["s1"].sessions), maxSessions)
	equal(t, "who reads events comes first", w.servers["s1"].sessions[0].Role, "event")
	drops := fields{}
	for i := range 1000 {
		drops[fmt.Sprintf("reason%d", i)] = 1
	}
	w.Status("ami.status.s1.buffers", marshal(fields{"node": "b1", "at": text(w.now), "dropped": drops}), w.now)
	equal(t, "reasons", len(w.of("s1").Account.Dropped), maxDropped)
	for i := range maxObjects + 10 {
		w.State(fmt.Sprintf("s1.caller.q.%d", i), []byte(`{"Queue":"q"}`), w.now)
	}
	equal(t, "objects", len(w.servers["s1"].objects), maxObjects)
	w.State("s1.server", []byte(`{"state":"live"}`), w.now)
	q := w.queue("q")
	equal(t, "waiting", q.Waiting, maxObjects)
	equal(t, "callers shown", len(q.Callers), shownCallers)
	if w.ignored < 30 {
		t.Errorf("only %d are counted as ignored", w.ignored)
	}
}

// Whatever comes, in whatever order and at whatever time, nothing panics, no text is
// harmful and each server has a state.
func TestProperty_AnyMessages(t *testing.T) {
	t.Parallel()
	words := append([]string{"up", "waiting", "connecting", "stopped", "open", "closed", "half-open", "auth", "dial", "shed", "high", "full", "normal", "live", "stale", "syncing",
		"event", "action", "both", "b1", "b2", "CONNECTED", "1", "5", ""}, hostile...)
	word := rapid.SampledFrom(words)
	stamps := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "odd") {
			return rapid.SampledFrom([]string{"", "x", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-28T03:00:00+14:00", "2262-04-12T00:00:00Z"}).Draw(t, "stamp")
		}
		return text(at(time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "stamp"))))
	})
	number := rapid.OneOf(rapid.Just[any](uint64(1<<64-1)), rapid.Just[any](-5), rapid.Just[any](1.5), rapid.Just[any]("7"), rapid.Map(rapid.Uint32(), func(n uint32) any { return n }))
	rapid.Check(t, func(t *rapid.T) {
		m := New(Options{OutboxTotal: rapid.Int64().Draw(t, "total"), Interval: time.Duration(rapid.Int64Range(-1, 1e11).Draw(t, "interval"))})
		now := t0
		for range rapid.IntRange(1, 12).Draw(t, "messages") {
			msg := fields{"node": rapid.SampledFrom([]string{"b1", "b2", ""}).Draw(t, "node"), "at": stamps.Draw(t, "at")}
			for _, key := range []string{"since", "from", "retry_at", "Since", "At"} {
				msg[key] = stamps.Draw(t, key)
			}
			for _, key := range []string{"role", "to", "reason", "error", "trigger", "leader", "nats", "state", "Queue", "Status", "MemberName", "CallerIDNum", "Position"} {
				msg[key] = word.Draw(t, key)
			}
			if rapid.Bool().Draw(t, "gap") {
				msg["to"] = stamps.Draw(t, "to")
			}
			for _, key := range []string{"received", "published", "queued", "lost", "term", "failures", "retry_in_ms", "uptime_s", "status_interval_ms", "outbox_total_bytes"} {
				if rapid.Bool().Draw(t, "has "+key) {
					msg[key] = number.Draw(t, key)
				}
			}
			msg["sessions"] = fields{"event": word.Draw(t, "event"), "action": word.Draw(t, "action")}
			msg["dropped"] = fields{word.Draw(t, "drop"): number.Draw(t, "dropped")}
			msg["outbox"] = fields{"bytes": number.Draw(t, "bytes"), "capacity": number.Draw(t, "capacity"), "level": word.Draw(t, "level")}
			msg["refused"] = fields{word.Draw(t, "kind"): number.Draw(t, "refused")}
			msg["last_refused"] = fields{"at": word.Draw(t, "at"), "action": word.Draw(t, "action"), "kind": word.Draw(t, "kind")}
			msg["actions"] = fields{"answered": number.Draw(t, "answered"), "p95_ms": number.Draw(t, "p95"), "refused": msg["refused"], "last_refused": msg["last_refused"]}
			msg["rates"] = fields{"received": number.Draw(t, "in"), "published": number.Draw(t, "out"), "actions": number.Draw(t, "acts")}
			msg["servers"] = []string{"pbx1", word.Draw(t, "server")}
			msg["connections"] = fields{"events": word.Draw(t, "connection")}
			payload := marshal(msg)
			if rapid.IntRange(0, 9).Draw(t, "broken") == 0 {
				payload = rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
			}
			subject := rapid.SampledFrom([]string{"ami.status.pbx1.connection", "ami.status.pbx1.breaker", "ami.status.pbx1.buffers", "ami.status.pbx1.gap", "ami.status.pbx1.ha", "ami.nodes.b1", "ami.nodes.b2"}).Draw(t, "subject")
			if rapid.Bool().Draw(t, "kept") {
				m.Kept(subject, payload, now.Add(-time.Duration(rapid.IntRange(-9, 99).Draw(t, "s"))*time.Second), now)
			} else {
				m.Status(subject, payload, now)
			}
			if rapid.Bool().Draw(t, "gone") {
				payload = nil
			}
			m.State(rapid.SampledFrom([]string{"pbx1.server", "pbx1.queue.q", "pbx1.caller.q.1", "pbx1.member.q.m", "pbx1.channel.1", "pbx1.channel.2"}).Draw(t, "key"), payload, now)
			now = now.Add(time.Duration(rapid.Int64Range(-1e10, 1e13).Draw(t, "pass")))
			m.Tick(now)
			m.Calls("pbx1", NumbersFull)
			snap := m.Snapshot(now, NumbersFull)
			harmlessJSON(t, snap)
			for _, s := range snap.Servers {
				if s.Word == "" || s.State.Word() == "" {
					t.Fatalf("no word: %+v", s)
				}
				if s.Present != nil && s.Present.Calls < 0 {
					t.Fatalf("%d calls", s.Present.Calls)
				}
			}
		}
	})
}

func FuzzStatus(f *testing.F) {
	for _, kind := range []string{"connection", "breaker", "buffers", "gap", "ha"} {
		f.Add("ami.status.pbx1."+kind, marshal(buffers(1, 2, fields{"node": "b1", "at": text(t0), "role": "event", "to": "waiting"})))
	}
	f.Add("ami.nodes.b1", []byte(`{"node":"b1","at":"2026-11-28T03:00:00Z","servers":["a"]}`))
	f.Add("pbx1.member.q.m", []byte(`{"Queue":"q"}`))
	f.Fuzz(func(t *testing.T, subject string, payload []byte) {
		m := New(Options{})
		m.State("pbx1.server", []byte(`{"state":"live"}`), t0)
		for range 2 {
			m.Status(subject, payload, t0)
			m.State(subject, payload, t0)
			m.Tick(t0.Add(time.Second))
			harmlessJSON(t, m.Snapshot(t0.Add(time.Second), NumbersFull))
		}
	})
}
