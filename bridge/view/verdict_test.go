package view

import (
	"cmp"
	"slices"
	"testing"
	"time"
)

// Each reason of a lost session is the state, the sentence and the advice of the
// table; the session's loss is that of all events since.
func TestVerdict_EachReasonOfALostSession(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]struct{ err, why, do string }{
		"dial":          {"dial tcp 10.20.4.12:5038: connect: connection refused", "Nothing listens at 10.20.4.12:5038: connection refused.", "Is Asterisk running? Firewall, ADDR, enabled=no."},
		"auth":          {`Login refused: "Authentication failed"`, "Asterisk answers, but refuses the user: Authentication failed.", "Mend secret, user or permit in manager.conf."},
		"tls":           {"x509: certificate signed by unknown authority", "TLS fails: x509: certificate signed by unknown authority.", "Name in the certificate, CA, or a plain port."},
		"banner":        {"closed before the banner", "What answers is not AMI, or closes at once.", "Port; authlimit."},
		"login":         {"Challenge: i/o timeout", "No answer to the login within LOGIN_TIMEOUT.", "Overloaded, or plain AMI on a TLS port."},
		"closed":        {"EOF", "Asterisk ended the session.", "Stopped, restarted, kicked, or writetimeout too short."},
		"read":          {"connection reset by peer", "The connection broke: connection reset by peer.", "Network, firewall, NAT timeout."},
		"write":         {"broken pipe", "The connection broke: broken pipe.", "Network, firewall, NAT timeout."},
		"read_timeout":  {"nothing was read for too long", "Asterisk has been silent for READ_TIMEOUT.", "Does it hang? core show locks."},
		"write_timeout": {"i/o timeout", "Asterisk has been silent for READ_TIMEOUT.", "Does it hang? core show locks."},
		"ping":          {"a Ping was not answered", "Asterisk has been silent for READ_TIMEOUT.", "Does it hang? core show locks."},
		"secret":        {"its file is empty", "The secret cannot be read: its file is empty.", "SECRET_FILE. Asterisk was not asked."},
		"shutdown":      {"", "The bridge logged off.", "It stops, or is started again."},
		"new_in_2030":   {"?", "The session is not up: waiting.", "Wait for its first try."},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			w.up("pbx1")
			w.pass(3 * time.Second)
			w.lose("pbx1", reason, want.err)
			w.pass(time.Second)
			v := w.of("pbx1").Verdict
			state, word := StateDown, "down"
			if reason == "auth" {
				state, word = StateRefused, "login refused"
			}
			equal(t, "state", v.State, state)
			equal(t, "word", v.Word, word)
			equal(t, "why", v.Why, want.why)
			equal(t, "do", v.Do, want.do)
			equal(t, "reason", v.Reason, reason)
			same(t, "since", v.Since, at(3*time.Second))
			same(t, "until", v.Until, at(24*time.Second))
			equal(t, "until kind", v.UntilKind, UntilTry)
			equal(t, "losing", v.Losing.Text(w.now), "all since 03:00:03, number unknown")
		})
	}
}

// What a bridge says of its settings stands in the sentences.
func TestVerdict_SettingsThatAreTold(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"login": "No answer to the login within 5 s.", "ping": "Asterisk has been silent for 30 s.", "dial": "Nothing listens at pbx1.example:5038: no such host.",
	} {
		w := watch(t)
		w.tell("pbx1", "connection", fields{
			"since": text(w.now), "role": "event", "to": "waiting", "reason": reason, "error": "no such host", "retry_in_ms": 1000,
			"sessions": fields{"event": "waiting"}, "addr": "pbx1.example:5038", "login_timeout_ms": 5000, "read_timeout_ms": 30000,
		})
		equal(t, reason, w.of("pbx1").Why, want)
	}
}

// A drop is "losing events" for two intervals, with its own count; each reason has its
// sentence.
func TestVerdict_EachReasonOfADrop(t *testing.T) {
	t.Parallel()
	const why, do = "Outbox 83 % full: 2" + thin + "140/s come in, NATS takes 2" + thin + "035.", "Look at NATS, then at OUTBOX_BYTES."
	for reason, want := range map[string]struct{ why, do string }{
		"overflow": {why, do}, "total": {why, do}, "shed": {why, do},
		"oversize": {why, do + " The log names the event that is too large."},
		"corrupt":  {"What came in the place of an event was no message.", "Which module sends raw text?"},
		"panic":    {"A handler of the bridge panicked on an event.", "Report the stack in the log."},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			w.up("pbx1")
			w.pass(5 * time.Second)
			level := fields{"outbox": outbox(capacity*83/100+1, "high")}
			w.tell("pbx1", "buffers", buffers(10_700, 10_175, level, dropped(reason, 410)))
			v := w.of("pbx1").Verdict
			equal(t, "state", v.State, StateLosing)
			equal(t, "word", v.Word, "losing events")
			equal(t, "why", v.Why, want.why)
			equal(t, "do", v.Do, want.do)
			equal(t, "reason", v.Reason, reason)
			same(t, "since", v.Since, at(5*time.Second))
			equal(t, "losing", v.Losing.Text(w.now), "410 events")
			equal(t, "rate", v.Losing.Rate, 82)

			w.pass(5 * time.Second)
			w.tell("pbx1", "buffers", buffers(20_000, 20_000, dropped(reason, 411)))
			equal(t, "losing, further", w.of("pbx1").Losing.Text(w.now), "411 events")
			for range 3 { // it is over 10 s after the last one
				w.pass(5 * time.Second)
				w.tell("pbx1", "buffers", buffers(30_000, 30_000, dropped(reason, 411)))
			}
			equal(t, "state after", w.of("pbx1").State, StateWell)
			w.pass(5 * time.Second)
			w.tell("pbx1", "buffers", buffers(40_000, 40_000, dropped(reason, 412)))
			equal(t, "losing anew", w.of("pbx1").Losing.Text(w.now), "1 event")
		})
	}
}

// A drop that was before anybody looked is none now: counts are since the process began.
func TestVerdict_OldDropsAreNoLoss(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.tell("pbx1", "buffers", buffers(10, 10, dropped("overflow", 9120)))
	w.tell("pbx2", "connection", fields{"since": text(w.now), "role": "event", "to": "up", "sessions": fields{"event": "up"}})
	w.tell("pbx2", "buffers", buffers(10, 10, dropped("overflow", 9120)))
	equal(t, "seen first with drops", w.of("pbx2").State, StateWell)
	w.pass(5 * time.Second)
	w.tell("pbx2", "buffers", buffers(5, 5, dropped("overflow", 0))) // a new process
	equal(t, "another process", w.of("pbx2").State, StateWell)
}

// Each level of each buffer.
func TestVerdict_Levels(t *testing.T) {
	t.Parallel()
	pending := fields{"depth": 900, "capacity": 1024, "high_water": 900, "refused": 3, "level": "high"}
	for name, c := range map[string]struct {
		msg   fields
		state State
		why   string
	}{
		"outbox high":  {fields{"outbox": outbox(capacity*9/10, "high")}, StateTrouble, "Outbox 90 % full: 0/s come in, NATS takes 0."},
		"outbox full":  {fields{"outbox": outbox(capacity, "full")}, StateLosing, "Outbox 100 % full: 0/s come in, NATS takes 0."},
		"write high":   {fields{"write_buffer": buffer(60000, 65536, "high")}, StateTrouble, "Write buffer 92 % full: Asterisk works slower than callers ask."},
		"write full":   {fields{"write_buffer": buffer(65536, 65536, "full")}, StateTrouble, "Write buffer 100 % full: Asterisk works slower than callers ask."},
		"pending high": {fields{"pending_actions": pending}, StateTrouble, "900 of 1" + thin + "024 actions are pending: callers get busy beyond."},
		"normal":       {fields{"outbox": outbox(capacity/2, "normal")}, StateWell, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			w.up("pbx1")
			w.pass(30 * time.Hour) // so that nothing is forecast
			w.up("pbx1")
			w.tell("pbx1", "buffers", buffers(0, 0, c.msg))
			w.pass(time.Second)
			v := w.of("pbx1").Verdict
			equal(t, "state", v.State, c.state)
			equal(t, "why", v.Why, c.why)
			same(t, "since", v.Since, at(30*time.Hour))
		})
	}
}

// Sessions that carry Actions only, the breaker and NATS.
func TestVerdict_Trouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tell func(w *watched)
		want Verdict
	}{
		"an action session waits": {func(w *watched) {
			w.tell("pbx1", "connection", fields{"since": text(w.now), "role": "action2", "to": "waiting", "reason": "closed", "error": "EOF", "failures": 1,
				"retry_in_ms": 9000, "sessions": fields{"event": "up", "action": "up", "action2": "waiting"}})
		}, Verdict{State: StateTrouble, Word: "in trouble", Why: "Session action2: Asterisk ended the session.",
			Do: "Stopped, restarted, kicked, or writetimeout too short.", Reason: "closed", Since: Time{at(time.Minute)}, Until: Time{at(69 * time.Second)}, UntilKind: UntilTry}},
		"an action session connects": {func(w *watched) {
			w.tell("pbx1", "connection", fields{"since": text(w.now), "role": "action", "to": "connecting", "sessions": fields{"event": "up", "action": "connecting"}})
		}, Verdict{State: StateTrouble, Word: "in trouble", Why: "Session action: The session is not up: connecting.", Do: "Wait for its first try.", Since: Time{at(time.Minute)}}},
		"the login of an action session is refused": {func(w *watched) {
			w.tell("pbx1", "connection", fields{"since": text(w.now), "role": "action", "to": "waiting", "reason": "auth", "error": "Login refused: \"No\"",
				"retry_in_ms": 60000, "sessions": fields{"event": "up", "action": "waiting"}})
		}, Verdict{State: StateRefused, Word: "login refused", Why: "Asterisk answers, but refuses the user: No.", Do: "Mend secret, user or permit in manager.conf.",
			Reason: "auth", Since: Time{at(time.Minute)}, Until: Time{at(2 * time.Minute)}, UntilKind: UntilTry}},
		"half-open": {func(w *watched) {
			w.tell("pbx1", "breaker", fields{"since": text(w.now), "to": "half-open", "reason": "cooldown", "retry_at": ""})
		}, Verdict{State: StateTrouble, Word: "in trouble", Why: "The breaker is half-open: one try decides.", Since: Time{at(time.Minute)}}},
		"open, though events come": {func(w *watched) {
			w.tell("pbx1", "breaker", fields{"since": text(w.now), "to": "open", "reason": "ping", "error": "x", "failures": 5, "retry_at": text(w.now.Add(30 * time.Second))})
		}, Verdict{State: StateDown, Word: "down", Why: "Asterisk has been silent for READ_TIMEOUT.", Do: "Does it hang? core show locks. Breaker open after 5 failures.",
			Reason: "ping", Since: Time{at(time.Minute)}, Until: Time{at(90 * time.Second)}, UntilKind: UntilTry}},
		"open by a refused login": {func(w *watched) {
			w.tell("pbx1", "breaker", fields{"since": text(w.now), "to": "open", "reason": "auth", "error": "x", "failures": 1, "retry_at": text(w.now.Add(time.Minute))})
		}, Verdict{State: StateRefused, Word: "login refused", Why: "Asterisk answers, but refuses the user: x.",
			Do: "Mend secret, user or permit in manager.conf. Breaker open after 1 failure.", Reason: "auth",
			Since: Time{at(time.Minute)}, Until: Time{at(2 * time.Minute)}, UntilKind: UntilTry}},
		"NATS takes no events": {func(w *watched) {
			w.node("b1", []string{"pbx1"}, fields{"nats": "RECONNECTING", "connections": fields{"events": "RECONNECTING", "control": "CONNECTED"}})
		}, Verdict{State: StateTrouble, Word: "in trouble", Why: "NATS takes no events: they wait in memory.", Do: "Look at NATS. Do not restart the bridge.", Since: Time{at(time.Minute)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			w.node("b1", []string{"pbx1"})
			w.pass(time.Minute)
			w.up("pbx1")
			c.tell(w)
			v := w.of("pbx1").Verdict
			same(t, "since", v.Since, c.want.Since.Time)
			same(t, "until", v.Until, c.want.Until.Time)
			v.Since, v.Until, c.want.Since, c.want.Until = Time{}, Time{}, Time{}, Time{}
			if v != c.want {
				t.Errorf("got %+v, want %+v", v, c.want)
			}
		})
	}
}

// The tries of a lost session change its state all the time; since when it is lost they
// do not. A reason holds until the next one.
func TestVerdict_TriesDoNotMoveSince(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.pass(time.Second)
	w.lose("pbx1", "read", "connection reset by peer")
	for range 5 {
		w.pass(2 * time.Second)
		w.tell("pbx1", "connection", fields{"since": text(w.now), "role": "event", "to": "connecting", "sessions": fields{"event": "connecting", "action": "up"}})
		v := w.of("pbx1").Verdict
		equal(t, "state", v.State, StateDown)
		equal(t, "why", v.Why, "The connection broke: connection reset by peer.")
		same(t, "since", v.Since, at(time.Second))
	}
	w.lose("pbx1", "dial", "dial tcp 10.0.0.1:5038: i/o timeout")
	equal(t, "why", w.of("pbx1").Why, "Nothing listens at 10.0.0.1:5038: i/o timeout.")
	same(t, "since", w.of("pbx1").Since, at(time.Second))
	w.pass(2 * time.Second)
	w.up("pbx1")
	w.pass(time.Second)
	v := w.of("pbx1").Verdict
	equal(t, "word", v.Word, "up for 1 s")
	if v.Losing != nil {
		t.Errorf("a closed gap is an illness: %+v", v)
	}
}

// Who looks late sees only the last try. The breaker and AMI_STATE know more.
func TestVerdict_SinceOfOneThatCameLate(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.now = at(time.Hour)
	late := fields{"since": text(w.now), "role": "event", "to": "waiting", "reason": "dial", "error": "x", "sessions": fields{"event": "waiting"}}
	w.tell("pbx1", "connection", late)
	same(t, "since, of the last try", w.of("pbx1").Since, at(time.Hour))
	w.tell("pbx1", "breaker", fields{"since": text(at(20 * time.Minute)), "to": "open", "reason": "dial", "error": "x", "failures": 5, "retry_at": text(at(61 * time.Minute))})
	same(t, "since, of the breaker", w.of("pbx1").Since, at(20*time.Minute))
	w.State("pbx1.server", []byte(`{"state":"stale","since":"`+text(at(10*time.Minute))+`"}`), w.now)
	v := w.of("pbx1")
	same(t, "since, of the present", v.Since, at(10*time.Minute))
	same(t, "losing since", v.Losing.Since, at(10*time.Minute))
	same(t, "until, of the breaker", v.Until, at(61*time.Minute))
}

// Three intervals without a word, and nothing is known.
func TestVerdict_StaleAfterThreeIntervals(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.pass(15 * time.Second)
	equal(t, "after three intervals", w.of("pbx1").State, StateWell)
	w.pass(time.Second)
	v := w.of("pbx1")
	equal(t, "later", v.State, StateUnknown)
	equal(t, "word", v.Word, "not known since 03:00:00")
	equal(t, "why", v.Why, "Nothing is heard of it: the bridge, or its NATS, is gone.")
	same(t, "since", v.Since, t0)
	if v.Rates != nil || v.Forecast != nil {
		t.Errorf("there are rates of what is not known: %+v", v)
	}
	w.up("pbx1")
	equal(t, "heard again", w.of("pbx1").State, StateWell)

	w.node("b1", []string{"pbx1"}, fields{"status_interval_ms": 60000})
	w.pass(170 * time.Second)
	equal(t, "of a node that says its interval", w.of("pbx1").State, StateWell)
	w.lose("pbx1", "dial", "x")
	w.pass(200 * time.Second)
	v = w.of("pbx1")
	equal(t, "one that was down", v.State, StateUnknown)
	if v.Losing != nil {
		t.Errorf("it is said to lose: %+v", v.Losing)
	}
}

// What AMI_STATE says of a server, where nothing else is wrong.
func TestVerdict_Present(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.pass(time.Second)
	for state, want := range map[string]State{"live": StateWell, "syncing": StateSyncing, "stale": StateUnknown, "odd": StateUnknown} {
		w.State("pbx1.server", []byte(`{"state":"`+state+`","since":"`+text(w.now)+`"}`), w.now)
		v := w.of("pbx1")
		equal(t, state, v.State, want)
		if want != StateWell {
			same(t, "since", v.Since, w.now)
		}
	}
	w.State("pbx1.server", []byte(`{"state":"live"}`), w.now)
	w.State("pbx1.server", nil, w.now)
	equal(t, "a server's key that is gone", w.of("pbx1").State, StateUnknown)
}

// Ill ones come first, the worst at the top; the others by name.
func TestSnapshot_WorstFirst(t *testing.T) {
	t.Parallel()
	w := watch(t)
	names := []string{"a-well", "b-syncing", "c-silent", "d-trouble", "e-refused", "f-down-late", "g-down", "h-losing", "i-losing-more", "z-well"}
	for _, name := range slices.Backward(names) {
		w.up(name)
	}
	w.pass(20 * time.Second)
	w.lose("g-down", "dial", "x")
	w.pass(time.Second)
	w.lose("e-refused", "auth", "x")
	w.lose("f-down-late", "dial", "x")
	for _, name := range names {
		switch name {
		case "c-silent":
		case "d-trouble":
			w.tell(name, "buffers", buffers(0, 0, fields{"outbox": outbox(capacity*9/10, "high")}))
		case "h-losing":
			w.tell(name, "buffers", buffers(0, 0, dropped("shed", 10)))
		case "i-losing-more":
			w.tell(name, "buffers", buffers(0, 0, dropped("shed", 110)))
		default:
			w.tell(name, "buffers", buffers(0, 0))
		}
	}
	w.State("b-syncing.server", []byte(`{"state":"syncing"}`), w.now)
	var got []string
	for _, s := range w.snapshot().Servers {
		got = append(got, s.Name)
	}
	want := []string{"i-losing-more", "h-losing", "g-down", "f-down-late", "e-refused", "d-trouble", "c-silent", "b-syncing", "a-well", "z-well"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	totals := w.snapshot().Totals
	equal(t, "ill", totals.Ill, 6)
	equal(t, "unknown", totals.Unknown, 1)
	equal(t, "syncing", totals.Syncing, 1)
	equal(t, "exit code", w.snapshot().ExitCode(), 1)
}

// The rank of states is that of the table, and none is without a word.
func TestState_Order(t *testing.T) {
	t.Parallel()
	var all []State
	for _, row := range stateWords {
		all = append(all, row.State)
	}
	if !slices.IsSortedFunc(all, func(a, b State) int { return cmp.Compare(a.rank(), b.rank()) }) || len(all) != 7 {
		t.Errorf("the states are %v", all)
	}
	equal(t, "a state of another version", State("new").rank(), StateUnknown.rank())
	equal(t, "is not ill", State("new").Ill(), false)
}
