package correlation

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// known is a row of testdata/actions.tsv: an Action of some Asterisk from 1.8 to
// 23, how it answers, and what is odd about that.
type known struct {
	action, versions, reply string
	items                   []string
	completion              string
	odd                     []string
}

func (k *known) is(oddity string) bool { return slices.Contains(k.odd, oddity) }

func knownActions(t testing.TB) []known {
	t.Helper()
	tsv, err := os.ReadFile("testdata/actions.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var all []known
	for _, line := range strings.Split(strings.TrimSpace(string(tsv)), "\n")[1:] {
		col := strings.Split(line, "\t")
		k := known{action: col[0], versions: col[1], reply: col[2], completion: col[4], odd: strings.Split(col[5], ",")}
		if col[3] != "-" {
			k.items = strings.Split(col[3], ",")
		}
		all = append(all, k)
	}
	if len(all) != 171 {
		t.Fatalf("%d actions, want 171", len(all))
	}
	return all
}

// script is what Asterisk may answer: the Call ends with the last frame of wire
// and not before. extra comes behind it.
type script struct {
	wire     string
	old      bool // before 13.2
	want     Outcome
	events   int
	lines    int
	async    int    // events that are to be published
	extra    string // Responses more
	repeated int
}

const (
	pongA   = "Response: Success\nActionID: a\nPing: Pong\nTimestamp: 1795422104.000123\n\n"
	unknown = "Response: Error\nActionID: a\nMessage: Invalid/unknown command: X. Use Action: ListCommands to show available commands.\n\n"
)

// scripts returns every form that k's reply has.
func (k *known) scripts() map[string]script {
	s := map[string]script{}
	switch {
	case k.is("text"):
		s["text"] = script{wire: pongA + "support has 0 calls\n   Members: \n\n  x: y:z\n" + "\n\n" + pongA, want: Answered, lines: 4}
		s["nothing"] = script{wire: pongA + "\n\n" + pongA, want: Answered}
		s["unknown"] = script{wire: pongA + unknown + pongA, want: AsteriskError}
		return s
	case k.is("fenced"):
		s["event"] = script{wire: pongA + ack + item(k.items[0]) + pongA, want: Answered, events: 1}
		s["no event"] = script{wire: pongA + ack + pongA, want: Answered}
		s["refused"] = script{wire: pongA + refusal + pongA, want: AsteriskError}
		return s
	case k.is("no-response"):
		s["event"] = script{wire: item("DataGet Tree"), want: Answered, events: 1}
	case k.reply == "event":
		s["event"] = script{wire: ack + item(k.items[0]), want: Answered, events: 1}
	case k.is("attempt"):
		try := strings.Replace(ack, "ok", "Attempting to send Jabber Message", 1)
		s["sent"] = script{wire: try + "Response: Success\nActionID: a\n\n", want: Answered}
		s["not sent"] = script{wire: try + "Response: Error\nActionID: a\n\n", want: AsteriskError}
	case k.is("more-errors"):
		s["several errors"] = script{wire: refusal, want: AsteriskError, extra: refusal + refusal, repeated: 2}
	case k.is("output"):
		s["output"] = script{wire: "Response: Success\nActionID: a\nMessage: Command output follows\nOutput: a: b\nOutput: \n\n", want: Answered, lines: 2}
		s["unknown command"] = script{wire: "Response: Error\nActionID: a\nMessage: Command output follows\nOutput: No such command\n\n", want: AsteriskError, lines: 1}
		s["old output"] = script{old: true, wire: "Response: Follows\nPrivilege: Command\nActionID: a\nx: y\n\nz\n--END COMMAND--\n\n", want: Answered, lines: 3}
	case k.is("blank-line"):
		s["blank line"] = script{wire: ack + "\n", want: Answered}
	case k.is("async-event"):
		const event = "Event: UserEvent\nPrivilege: user,all\nUserEvent: x\nActionID: a\nEventList: Complete\n\n" +
			"Event: OriginateResponse\nPrivilege: call,all\nActionID: a\nResponse: Success\n\n" +
			"Event: SIPQualifyPeerDone\nPrivilege: call,all\nActionID: a\n\n"
		s["event first"] = script{wire: event + ack, want: Answered, async: 3}
		s["event later"] = script{wire: ack, extra: event, want: Answered, async: 3}
	}
	if k.reply == "list" {
		k.lists(s)
	}
	s["refused"] = script{wire: refusal, want: AsteriskError}
	if k.reply != "event" {
		s["plain"] = script{wire: ack, want: Answered}
	}
	return s
}

// lists adds the forms of a list to s.
func (k *known) lists(s map[string]script) {
	var each []string
	for _, name := range slices.Concat(k.items, k.items) {
		each = append(each, k.item(name))
	}
	items := strings.Join(each, "")
	n := 2*len(k.items) + 1
	end := "Event: " + k.completion + "\nActionID: a\nEventList: Complete\nListItems: 1\n\n"
	s["modern"] = script{wire: listStart + items + end, want: Answered, events: n}
	s["capital"] = script{wire: strings.Replace(listStart, "start", "Start", 1) + items + end, want: Answered, events: n}
	s["empty"] = script{wire: listStart + end, want: Answered, events: 1}
	s["cancelled"] = script{wire: listStart + items + strings.Replace(end, "Complete\nL", "cancelled\nL", 1), want: AsteriskError, events: n}
	s["error after start"] = script{wire: listStart + items + refusal, want: AsteriskError, events: n - 1}
	if k.is("error-then-complete") {
		s["error after start"] = script{wire: listStart + items + refusal + end, want: AsteriskError, events: n}
	}
	if !k.is("items-without-id") {
		s["completion first"] = script{wire: items + end + listStart, want: Answered, events: n}
	}
	if !k.is("old") {
		s["old server"] = script{old: true, wire: listStart + items + end, want: Answered, events: n}
		return
	}
	end = item(k.completion)
	s["old"] = script{old: true, wire: ack + items + end, want: Answered, events: n}
	s["old empty"] = script{old: true, wire: ack + end, want: Answered, events: 1}
	s["old error after start"] = script{old: true, wire: ack + items + refusal, want: AsteriskError, events: n - 1}
	s["old completion first"] = script{old: true, wire: items + end + ack, want: Answered, events: n}
	if k.is("empty-is-plain") {
		s["old plain"] = script{old: true, wire: strings.Replace(ack, "ok", noVoicemailUsers, 1), want: Answered}
	}
}

func (k *known) item(name string) string {
	switch {
	case k.is("items-without-id"):
		return "Event: " + name + "\nK: v\n\n"
	case k.is("literal-privilege"):
		return "Event: " + name + "\nPrivilege: Call\nK: v\nActionID: a\n\n"
	}
	return item(name)
}

// TestActions_EachOfAsterisksEndsWithTheLastFrameOfItsReply walks every Action
// of every Asterisk through all forms of its reply, kept and streamed, between a
// Call that was there before and one that comes after, on the same session.
func TestActions_EachOfAsterisksEndsWithTheLastFrameOfItsReply(t *testing.T) {
	forms := 0
	for _, k := range knownActions(t) {
		if k.is("refused") {
			if r := ruleFor(&Call{Action: k.action}); r != &generic {
				t.Errorf("%s has a rule, and is always refused", k.action)
			}
			continue
		}
		if Fenced(k.action) != k.is("fenced") {
			t.Errorf("Fenced(%s) = %v", k.action, Fenced(k.action))
		}
		for form, s := range k.scripts() {
			forms++
			for _, stream := range []bool{false, true} {
				name := k.action + "/" + form
				if stream {
					name += "/stream"
				}
				t.Run(name, func(t *testing.T) { k.walk(t, s, form, stream) })
			}
		}
	}
	t.Logf("%d forms of reply", forms)
}

func (k *known) walk(t *testing.T, s script, form string, stream bool) {
	d := newDesk(t, roomy)
	d.start(Call{ActionID: "before", Action: k.action})
	call := Call{ActionID: "a", Action: k.action, OldLists: s.old, Regex: k.is("regex") && k.reply == "list" && form != "plain"}
	handed := Result{}
	if stream {
		call.Part = func(p Part) bool {
			handed.Parts++
			handed.OutputLines += p.OutputLines
			if p.Event != nil {
				handed.EventCount++
			}
			return true
		}
	}
	d.start(call)
	d.start(Call{ActionID: "after", Action: "Ping"})
	var steps []*frames.Frame
	eachFrame(t, s.wire, 1<<20, func(f *frames.Frame) { steps = append(steps, clone(f)) })
	left := 0
	for _, f := range steps {
		d.mustPend("a")
		if !d.Deliver(actions, f) {
			left++
		}
	}
	r := d.mustEnd("a", s.want, SentYes)
	left += len(d.play(actions, s.extra))
	if r.EventCount != s.events || r.OutputLines != s.lines || left != s.async {
		t.Errorf("%d events, %d lines, %d left to publish; want %d, %d, %d", r.EventCount, r.OutputLines, left, s.events, s.lines, s.async)
	}
	if !stream {
		if names := eventNames(t, r); len(names) != s.events {
			t.Errorf("events %q", names)
		}
	} else if r.Events != nil || r.Output != nil || r.Parts != handed.Parts || r.EventCount != handed.EventCount || r.OutputLines != handed.OutputLines {
		t.Errorf("the result has %d parts, %d events, %d lines and %d bytes; handed out were %d, %d, %d", r.Parts, r.EventCount,
			r.OutputLines, len(r.Events)+len(r.Output), handed.Parts, handed.EventCount, handed.OutputLines)
	}
	r.Release()
	d.mustPend("before")
	d.mustPend("after")
	want := Stats{Pending: 2, HighWater: 3, Repeated: uint64(s.repeated)}
	if got := d.Stats(); got != want || len(d.running) != 0 || d.Pending(actions) != 2 {
		t.Errorf("left over: %+v, %d lists, %d on the session; want %+v", got, len(d.running), d.Pending(actions), want)
	}
}

// clone copies f out of its Reader's buffer.
func clone(f *frames.Frame) *frames.Frame {
	c := *f
	c.Raw = slices.Clone(f.Raw)
	c.Headers = slices.Clone(f.Headers)
	for i, h := range c.Headers {
		c.Headers[i] = frames.Header{Key: slices.Clone(h.Key), Value: slices.Clone(h.Value)}
	}
	return &c
}
