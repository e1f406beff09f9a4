package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// ways are the objects that stand for OBJ: of a direct session, of a plain
// request and of one for a stream. They begin alike, so that each way finds
// what the others found.
var ways = [3]string{"objA", "objB", "objC"}

// Every Action of the catalog does through NATS what it does directly:
// response, items and output, whole and as a stream, and strict validation
// takes its headers. An Action that this Asterisk does not have is asked for as
// well, and that it does not have it is checked.
func TestReal_EveryActionAnswersAsADirectSession(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*harness.Patience)
		defer cancel()
		allow := func(c *config.Config) { c.ActionsAllow = setting.Globs{"*"} }
		w := &twoWays{t: t, ctx: ctx, r: harness.Bridge(t, harness.NATS(t), allow, harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))}
		var err error
		if w.direct, err = a.Actions(ctx); err != nil {
			t.Fatal(err)
		}
		defer w.direct.Close()
		if a.OwnConfiguration() {
			checkTable(t, listCommands(t, w.direct), strings.Split(a.Version(), ".")[0])
			for _, way := range ways {
				w.called(way)
			}
		}
		compared, items, errors := 0, 0, []string{}
		for _, row := range everyAction {
			// A foreign Asterisk is asked, and not changed.
			if !a.OwnConfiguration() && (!catalog.Read(row.action) || strings.Contains(row.headers, "{")) {
				continue
			}
			o := w.compare(row)
			compared++
			items += len(o.Events)
			if o.Failed {
				errors = append(errors, row.action+": "+strings.TrimSpace(o.Message))
			}
		}
		t.Logf("Asterisk %s: %d requests compared, %d events; Errors:\n%s", a.Version(), compared, items, strings.Join(errors, "\n"))
		if a.OwnConfiguration() && items < 300 {
			t.Error("these are too few events: the lists were empty")
		}
		for _, name := range []string{"frames_corrupt_total", "responses_late_total", "responses_unmatched_total"} {
			if n := w.r.Metric(name); n != 0 {
				t.Errorf("%s is %v", name, n)
			}
		}
	})
}

// checkTable holds everyAction against the catalog and what Asterisk has.
func checkTable(t *testing.T, loaded []string, version string) {
	t.Helper()
	rows := map[string]string{}
	for _, row := range everyAction {
		rows[row.action] = row.not
	}
	known := catalogVersions(t)
	for _, action := range loaded {
		known[action] = version
	}
	for action := range known {
		if _, ok := rows[action]; !ok {
			t.Errorf("%s is not in everyAction", action)
		}
	}
	for action, absent := range rows {
		versions, _, _ := strings.Cut(absent, ":")
		if want := !strings.Contains(versions, version); want != slices.Contains(loaded, action) {
			t.Errorf("%s: Asterisk %s has it: %v; everyAction says %q", action, version, !want, absent)
		}
	}
}

// twoWays asks one Asterisk directly and through the bridge.
type twoWays struct {
	t      *testing.T
	ctx    context.Context
	direct *realasterisk.Client
	r      *harness.Running
}

// outcome is what came of an Action, in a form that both ways have.
type outcome struct {
	Response, Message string
	Failed            bool
	Fields            map[string][]string
	Events            []map[string][]string
	Output            []string
}

// compare asks for one Action in each way.
func (w *twoWays) compare(row asked) outcome {
	w.t.Helper()
	strict := []string{"Ami-Validate", "strict"}
	if row.not == refused {
		harness.Fails(w.t, w.r.Call("pbx1", row.action, body(w.headers(row, ways[1])), strict...), "forbidden", "no")
		return outcome{}
	}
	frames, err := w.direct.Do(w.ctx, append([]string{"Action: " + row.action}, w.headers(row, ways[0])...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	direct := ofFrames(frames)
	whole := w.r.Call("pbx1", row.action, body(w.headers(row, ways[1])), strict...)
	if diff := cmp.Diff(direct, ofReply(whole)); diff != "" {
		w.t.Errorf("%s %s (-direct +NATS): %s\n%+v", row.action, row.headers, diff, whole.Error)
	}
	replies := w.r.Ask("pbx1", row.action, body(w.headers(row, ways[2])), append(strict, "Ami-Reply", "stream")...)
	var events []map[string]any
	var output []string
	parts, last := harness.Streamed(w.r, replies, func(part map[string]any) {
		lines, isOutput := part["output"].([]any)
		if !isOutput {
			events = append(events, part)
		}
		for _, line := range lines {
			output = append(output, line.(string))
		}
	})
	if last.Parts != parts || len(last.Events)+len(last.Output) > 0 {
		w.t.Errorf("%s as a stream: %d parts, then %+v", row.action, parts, last)
	}
	last.Events, last.Output = events, output
	if diff := cmp.Diff(direct, ofReply(last)); diff != "" {
		w.t.Errorf("%s %s (-direct +stream): %s\n%+v", row.action, row.headers, diff, last.Error)
	}
	return direct
}

// headers returns the lines of a row in one way.
func (w *twoWays) headers(row asked, way string) []string {
	if row.headers == "" {
		return nil
	}
	text := strings.ReplaceAll(row.headers, "OBJ", way)
	text = fieldOfChannel.ReplaceAllStringFunc(text, func(match string) string {
		m := fieldOfChannel.FindStringSubmatch(match)
		return w.status(m[2], m[1])
	})
	return strings.Split(text, "; ")
}

var fieldOfChannel = regexp.MustCompile(`\{(\w+)@([\w-]+)\}`)

// status returns what Status says of a channel, once it says it.
func (w *twoWays) status(id, field string) (value string) {
	w.t.Helper()
	harness.Eventually(w.t, field+" of "+id, func() bool {
		for _, f := range w.do("Action: Status", "Channel: "+id) {
			if f.Event() == "Status" {
				value = f.Get(field)
			}
		}
		return value != ""
	})
	return value
}

func (w *twoWays) do(lines ...string) []realasterisk.Frame {
	w.t.Helper()
	frames, err := w.direct.Do(w.ctx, lines...)
	if err != nil {
		w.t.Fatal(err)
	}
	return frames
}

// called makes the channels that everyAction speaks of in one way, and waits
// until each is where it is to be.
func (w *twoWays) called(way string) {
	w.t.Helper()
	for call := range strings.FieldsSeq("/stay -a/stay -b/stay -c/stay -d/stay -hang/stay -over/stay -park/stay -agi/agi " +
		"-conf/room-" + way + " -room/room-" + way + "-2 -line/line") {
		id, exten, _ := strings.Cut(call, "/")
		reply := w.do("Action: Originate", "Channel: Local/"+exten+"@load", "Application: Wait", "Data: 600",
			"ChannelId: "+way+id, "OtherChannelId: "+way+id+"2")
		if len(reply) != 1 || reply[0].Get("Response") != "Success" {
			w.t.Fatalf("the call of %s%s: %q", way, id, reply)
		}
	}
	w.status(way+"-conf2", "BridgeID")
	w.status(way+"-room2", "BridgeID")
	w.until("Uniqueid", way+"-line2", "Action: QueueStatus", "Queue: idle")
	w.until("Response", "Success", "Action: AGI", "Channel: "+way+"-agi2", "Command: NOOP")
}

// until asks again and again until a frame has that value.
func (w *twoWays) until(key, value string, lines ...string) {
	w.t.Helper()
	harness.Eventually(w.t, value+" from "+lines[0], func() bool {
		return slices.ContainsFunc(w.do(lines...), func(f realasterisk.Frame) bool { return f.Get(key) == value })
	})
}

// body returns the JSON of headers.
func body(headers []string) string {
	var members []string
	for _, line := range headers {
		key, value, _ := strings.Cut(line, ": ")
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		members = append(members, fmt.Sprintf("%q:%s", key, text))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// ofFrames is the outcome of what a direct session read.
func ofFrames(frames []realasterisk.Frame) outcome {
	var o outcome
	for _, f := range frames {
		headers := map[string][]string{}
		for _, p := range harness.FramePairs(f) {
			headers[p.Key] = p.Values
		}
		if f.Event() != "" {
			o.Events = append(o.Events, headers)
			continue
		}
		o.Output = headers["Output"]
		delete(headers, "Output")
		o.Fields, o.Response, o.Message = headers, f.Get("Response"), f.Get("Message")
		o.Failed = o.Failed || o.Response == "Error"
	}
	return o.steady()
}

// ofReply is the outcome of what NATS brought.
func ofReply(r harness.Reply) outcome {
	o := outcome{Response: r.Response, Message: r.Message, Failed: r.Error != nil && r.Error.Kind == "asterisk_error", Output: r.Output}
	if r.Fields != nil {
		o.Fields = flat(r.Fields)
	}
	for _, e := range r.Events {
		o.Events = append(o.Events, flat(e))
	}
	return o.steady()
}

// steady leaves out what differs between two askings of the same thing.
func (o outcome) steady() outcome {
	for _, m := range append(o.Events, o.Fields) {
		maps.DeleteFunc(m, func(key string, _ []string) bool { return slices.Contains(volatile, key) })
		for _, values := range m {
			for i := range values {
				values[i] = numbered.ReplaceAllString(values[i], "#")
			}
		}
	}
	o.Message = numbered.ReplaceAllString(o.Message, "#")
	// Hash tables of Asterisk list in the order of the moment.
	slices.SortFunc(o.Events, func(a, b map[string][]string) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return o
}

// volatile headers differ between two askings of the same thing.
var volatile = []string{"ActionID", "Duration", "Seconds", "Timestamp", "TimeToHangup", "RoundtripUsec", "Wait", "Idle", "AnsweredTime"}

// numbered is what Asterisk counts up, or makes up: the objects of each way, a
// Local channel's number, a bridge's UUID, a pointer.
var numbered = regexp.MustCompile(`obj[ABC]|[0-9a-f]{8}-[0-9a-f-]{27}|-[0-9a-f]{8};|0x[0-9a-f]+`)

// flat is a JSON object with every value a list.
func flat(m map[string]any) map[string][]string {
	flat := map[string][]string{}
	for key, value := range m {
		if list, ok := value.([]any); ok {
			for _, v := range list {
				flat[key] = append(flat[key], v.(string))
			}
			continue
		}
		flat[key] = []string{value.(string)}
	}
	return flat
}
