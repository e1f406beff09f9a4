package schemas

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

var updateSurface = flag.Bool("surface", false, "write testdata/surface.txt")

// surface is all that others build upon, a line each.
type surface map[string]bool

func (s surface) add(format string, args ...any) { s[fmt.Sprintf(format, args...)] = true }

// What others build upon is what testdata/surface.txt says: subjects, members and
// their types, headers, kinds of errors with their codes, rules of the policy,
// metrics with their labels, variables with their defaults. Whoever changes one of
// these changes the file too, with -surface, and says so in docs/upgrading.md.
func TestSurface_IsWhatOthersBuildUpon(t *testing.T) {
	t.Parallel()
	s := surface{}
	said, registry := everyMessage(t)
	shared := everySharedMessage(t, func(registry *prometheus.Registry) { s.metrics(t, registry) })
	for _, msg := range slices.Concat(said, shared) {
		s.message(t, "message "+schemaName(msg.Subject), msg)
	}
	for _, msg := range slices.Concat(everyAnswer(t), everyRefusal(t)) {
		s.reply(t, msg)
	}
	s.metrics(t, registry)
	s.variables(t)
	for _, a := range harness.ReadAttempts(t, "attacks.jsonl", "") {
		s.add("rule %s", a.Rule)
	}
	path := filepath.Join("testdata", "surface.txt")
	text := strings.Join(slices.Sorted(maps.Keys(s)), "\n") + "\n"
	if *updateSurface {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(harness.ReadText(t, path), text); diff != "" {
		t.Errorf("it was, and is:\n%s", diff)
	}
}

func (s surface) message(t *testing.T, what string, msg *nats.Msg) {
	t.Helper()
	tokens := strings.Split(msg.Subject, ".")
	for i := 2; i < len(tokens) && tokens[0] == "ami"; i++ {
		if i != 3 || tokens[1] == "audit" { // the third is the kind of what is told
			tokens[i] = "*"
		}
	}
	if tokens[0] == "ami" {
		s.add("subject %s", strings.Join(tokens, "."))
	}
	for key := range msg.Header {
		if !strings.HasPrefix(key, "Nats-Expected-") { // JetStream's, and not of each message
			s.add("%s header %s", what, key)
		}
	}
	if len(msg.Data) > 0 {
		s.members(what, harness.Document(t, msg.Data))
	}
}

// members adds the type of each, and of theirs. Where Asterisk's names, or the
// test's, are those of members, one stands for all.
func (s surface) members(path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		s.add("%s object", path)
		inner := path[strings.LastIndex(path, ".")+1:]
		for key, member := range value {
			if slices.Contains([]string{"fields", "dropped", "outcomes", "refused"}, inner) {
				key = "*"
			}
			s.members(path+"."+key, member)
		}
	case []any:
		for _, one := range value {
			s.members(path+"[]", one)
		}
	default:
		s.add("%s %T", path, value)
	}
}

func (s surface) reply(t *testing.T, msg *nats.Msg) {
	t.Helper()
	for key := range msg.Header {
		s.add("reply header %s", key)
	}
	if len(msg.Data) == 0 {
		return
	}
	doc := harness.Document(t, msg.Data)
	kind := replyKind(msg, doc)
	if kind == "part:event" {
		return // as Asterisk has it
	}
	for _, key := range []string{"events", "fields"} { // whose members are Asterisk's
		if doc[key] != nil {
			doc[key] = fmt.Sprintf("%T", doc[key])
		}
	}
	s.members("reply "+kind, doc)
	if e, ok := doc["error"].(map[string]any); ok {
		s.add("error %v %v sent=%v", e["kind"], e["code"], e["sent"])
	}
}

func (s surface) metrics(t *testing.T, registry *prometheus.Registry) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := []string{}
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName())
			}
			s.add("metric %s %v %q", f.GetName(), f.GetType(), labels)
		}
	}
	for name, m := range harness.DocumentedMetrics(t) {
		if m.Rare && strings.HasSuffix(name, "_total") {
			s.add("metric %s COUNTER %q", name, m.Labels)
		}
		if m.Rare && strings.Contains(name, "_floor_") { // there when the lists have come
			s.add("metric %s GAUGE %q", name, m.Labels)
		}
	}
}

// variables are those of the program, but for what depends on the machine.
func (s surface) variables(t *testing.T) {
	t.Helper()
	config := exec.CommandContext(t.Context(), harness.BuildBridge(t), "config", "-o", "markdown")
	config.Env, config.Stderr = []string{"BRIDGE_NODE=b1"}, t.Output()
	out, err := config.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.Contains(cells[1], "BRIDGE_") {
			s.add("variable %s %s", strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]))
		}
	}
}
