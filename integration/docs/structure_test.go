package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

const module = "github.com/ami-nats-bridge/ami-nats-bridge"

// arrows says which packages of the module each one may import outside of its
// tests. The rooms of integration have tests only, and what they share may import
// all; see TestStructure_RoomsOfIntegrationStandApart.
var arrows = map[string][]string{
	"amiconn/amisim":                           {},
	"amiconn/setting":                          {},
	"bridge/catalog":                           {},
	"bridge/internal/clock":                    {},
	"bridge/internal/clocktest":                {},
	"bridge/internal/costtest":                 {},
	"bridge/internal/deque":                    {},
	"bridge/internal/directget":                {},
	"bridge/internal/jsontest":                 {},
	"bridge/internal/name":                     {},
	"bridge/internal/pagetest":                 {},
	"bridge/internal/subject":                  {},
	"bridge/redact":                            {},
	"bridge/tap":                               {},
	"bridge/telling":                           {},
	"cmd/ami-nats-bridge/internal/embedded":    {},
	"cmd/ami-nats-bridge/internal/env/envtest": {},
	"cmd/ami-nats-bridge/internal/terminal":    {},
	"docs/examples/consume":                    {},
	"docs/examples/go":                         {},
	"docs/examples/screenpop":                  {},
	"docs/schemas":                             {},
	"fairness":                                 {},
	"frames":                                   {},
	"internal/longtest":                        {},
	"internal/natstest":                        {},
	"internal/socket":                          {},

	"bridge/internal/jsontext":             {"frames"},
	"bridge/policy":                        {"amiconn/setting", "bridge/internal/name", "frames"},
	"bridge/replay":                        {"bridge/internal/directget", "frames"},
	"bridge/standby":                       {"bridge/internal/name"},
	"bridge/view":                          {"bridge/internal/clock", "bridge/internal/name"},
	"cmd/ami-nats-bridge/internal/logging": {"amiconn/setting", "bridge/redact"},
	"correlation":                          {"frames"},

	"amiconn":                          {"amiconn/setting", "correlation", "frames", "internal/socket"},
	"bridge/outbox":                    {"bridge/internal/clock", "bridge/internal/deque", "bridge/standby"},
	"bridge/policy/policytest":         {"bridge/internal/name", "bridge/policy", "frames"},
	"bridge/present":                   {"bridge/internal/clock", "bridge/internal/jsontext", "frames"},
	"bridge/watch":                     {"bridge/view"},
	"bridge/web":                       {"bridge/catalog", "bridge/redact", "bridge/tap", "bridge/telling", "bridge/view"},
	"cmd/ami-nats-bridge/internal/top": {"bridge/view"},

	"bridge/config":            {"amiconn", "amiconn/setting", "bridge/policy"},
	"bridge/outbox/outboxtest": {"bridge/outbox"},

	"bridge/config/configtest": {"bridge/config"},
	"bridge/ingest": {
		"amiconn", "amiconn/setting", "bridge/config", "bridge/internal/clock", "bridge/internal/subject", "bridge/outbox",
		"bridge/tap", "frames",
	},
	"bridge/internal/simtest": {"amiconn/amisim", "bridge/config", "internal/natstest"},
	"bridge/natsconn":         {"amiconn", "amiconn/setting", "bridge/config", "bridge/internal/clock", "internal/socket"},
	"cmd/ami-nats-bridge/internal/env": {
		"amiconn", "amiconn/setting", "bridge/catalog", "bridge/config", "bridge/policy", "bridge/redact",
		"cmd/ami-nats-bridge/internal/embedded", "cmd/ami-nats-bridge/internal/logging", "cmd/ami-nats-bridge/internal/terminal",
	},

	"bridge/journal":           {"bridge/internal/clock", "bridge/internal/deque", "bridge/natsconn"},
	"bridge/natsconn/conntest": {"bridge/config", "bridge/natsconn", "internal/natstest"},
	"bridge/reply":             {"bridge/internal/jsontext", "bridge/natsconn", "bridge/redact", "correlation", "frames"},
	"bridge/status": {
		"amiconn", "bridge/config", "bridge/internal/clock", "bridge/internal/subject", "bridge/natsconn", "bridge/outbox",
		"bridge/standby", "correlation",
	},
	"bridge/streams": {"bridge/config", "bridge/internal/clock", "bridge/natsconn"},

	"bridge/audit": {
		"bridge/catalog", "bridge/config", "bridge/internal/clock", "bridge/internal/jsontext", "bridge/internal/name",
		"bridge/internal/subject", "bridge/journal", "bridge/redact", "bridge/reply", "bridge/streams", "correlation",
	},
	"bridge/beside": {"bridge/natsconn", "bridge/standby", "bridge/streams"},
	"bridge/delivery": {
		"bridge/config", "bridge/internal/clock", "bridge/internal/directget", "bridge/natsconn", "bridge/outbox", "bridge/standby",
		"bridge/streams", "fairness",
	},
	"bridge/idempotency":         {"bridge/config", "bridge/internal/deque", "bridge/journal", "bridge/natsconn", "bridge/reply", "bridge/streams"},
	"bridge/journal/journaltest": {"bridge/journal"},
	"bridge/state": {
		"amiconn", "bridge/config", "bridge/internal/clock", "bridge/natsconn", "bridge/present", "bridge/streams", "correlation",
		"frames",
	},

	"bridge/actions": {
		"amiconn", "bridge/audit", "bridge/catalog", "bridge/config", "bridge/idempotency", "bridge/internal/clock",
		"bridge/internal/name", "bridge/natsconn", "bridge/policy", "bridge/redact", "bridge/reply", "correlation", "docs/schemas",
		"frames",
	},
	"bridge/ha": {
		"bridge/config", "bridge/delivery", "bridge/internal/clock", "bridge/natsconn", "bridge/outbox", "bridge/standby",
		"bridge/streams",
	},

	"bridge": {
		"amiconn", "amiconn/setting", "bridge/actions", "bridge/audit", "bridge/beside", "bridge/config", "bridge/delivery",
		"bridge/ha", "bridge/idempotency", "bridge/ingest", "bridge/internal/clock", "bridge/internal/subject", "bridge/journal",
		"bridge/natsconn", "bridge/outbox", "bridge/present", "bridge/reply", "bridge/standby", "bridge/state", "bridge/status",
		"bridge/streams", "bridge/tap", "bridge/view", "bridge/watch", "bridge/web", "fairness",
	},

	"cmd/ami-nats-bridge": {
		"amiconn", "amiconn/amisim", "amiconn/setting", "bridge", "bridge/actions", "bridge/beside", "bridge/catalog", "bridge/config",
		"bridge/delivery", "bridge/natsconn", "bridge/present", "bridge/redact", "bridge/replay", "bridge/standby", "bridge/streams",
		"bridge/telling", "cmd/ami-nats-bridge/internal/embedded", "cmd/ami-nats-bridge/internal/env",
		"cmd/ami-nats-bridge/internal/logging", "cmd/ami-nats-bridge/internal/terminal", "cmd/ami-nats-bridge/internal/top",
		"correlation", "frames",
	},
}

// reserved says which packages alone may import what begins so.
var reserved = map[string][]string{
	"github.com/kelseyhightower/envconfig": {"cmd/ami-nats-bridge/internal/env"},
	"github.com/nats-io/": {
		"bridge", "bridge/actions", "bridge/audit", "bridge/beside", "bridge/config", "bridge/delivery", "bridge/ha",
		"bridge/idempotency", "bridge/internal/directget", "bridge/journal", "bridge/journal/journaltest", "bridge/natsconn",
		"bridge/natsconn/conntest", "bridge/replay", "bridge/reply", "bridge/state", "bridge/status", "bridge/streams",
		"cmd/ami-nats-bridge", "cmd/ami-nats-bridge/internal/embedded", "cmd/ami-nats-bridge/internal/top", "docs/examples/consume",
		"docs/examples/go", "docs/examples/screenpop", "internal/natstest",
	},
	"github.com/prometheus/": {"bridge", "cmd/ami-nats-bridge"},
}

// shared are the packages of integration that its rooms import.
var shared = []string{"integration/asterisk", "integration/harness", "integration/phone", "integration/realasterisk"}

// goPackage is what go list says of a package. Imports are those of its
// non-test files.
type goPackage struct {
	ImportPath, Doc      string
	Imports, TestImports []string
	GoFiles, TestGoFiles []string
	XTestGoFiles         []string
	Dir                  string
}

// name is the package's path within the module.
func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func (p goPackage) isIntegration() bool {
	return strings.HasPrefix(p.name(), "integration/")
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports,TestImports,GoFiles,TestGoFiles,XTestGoFiles,Dir", "./...")
	list.Dir, list.Stderr = harness.Root(t), t.Output()
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

func TestStructure_ImportsPointDown(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		seen[p.name()] = true
		allowed, known := arrows[p.name()]
		if !known && !p.isIntegration() {
			t.Errorf("%s: no arrow is known: add it here and to docs/design.md", p.name())
		}
		for _, path := range p.Imports {
			target, own := strings.CutPrefix(path, module+"/")
			if own && known && !slices.Contains(allowed, target) {
				t.Errorf("%s imports %s, which is none of %q", p.name(), target, allowed)
			}
			for prefix, owners := range reserved {
				if strings.HasPrefix(path, prefix) && !p.isIntegration() && !slices.Contains(owners, p.name()) {
					t.Errorf("%s imports %s, which is for %q", p.name(), path, owners)
				}
			}
		}
	}
	for name := range arrows {
		if !seen[name] {
			t.Errorf("%s: there is no such package any more", name)
		}
	}
}

// A room of integration is tests and what they are about. What two rooms need is in
// what is shared; no room imports another, and nothing but a test imports any.
func TestStructure_RoomsOfIntegrationStandApart(t *testing.T) {
	rooms := 0
	for _, p := range packages(t) {
		room := p.isIntegration() && !slices.Contains(shared, p.name())
		if room {
			rooms++
			if !slices.Equal(p.GoFiles, []string{"doc.go"}) {
				t.Errorf("%s has %q beside its tests: what two rooms need is of integration/harness", p.name(), p.GoFiles)
			}
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports) {
			target := strings.TrimPrefix(path, module+"/")
			if strings.HasPrefix(target, "integration/") && (!p.isIntegration() || !slices.Contains(shared, target)) {
				t.Errorf("%s imports %s", p.name(), target)
			}
		}
	}
	if rooms < 10 {
		t.Errorf("%d rooms: this test does not see them", rooms)
	}
}

// A file that is called a benchmark has one, and what go test -short leaves out
// says why.
func TestStructure_TestFilesAreWhatTheirNamesSay(t *testing.T) {
	benchmarks, long := 0, 0
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			text := harness.ReadText(t, p.Dir, name)
			if strings.HasSuffix(name, "bench_test.go") {
				benchmarks++
				if !strings.Contains(text, "\nfunc Benchmark") {
					t.Errorf("%s/%s has no benchmark", p.name(), name)
				}
			}
			if p.name() != "integration/docs" && strings.Contains(text, "testing.Short()") {
				t.Errorf("%s/%s asks for testing.Short(): longtest.Mark does, and says why", p.name(), name)
			}
			long += strings.Count(text, "longtest.Mark(t, \"")
		}
	}
	if benchmarks == 0 || long == 0 {
		t.Errorf("%d files of benchmarks, %d long tests: this test does not see them", benchmarks, long)
	}
	// What make test leaves out make race runs, and .ci/run calls both.
	target := func(name string) string {
		_, rest, _ := strings.Cut(harness.ReadText(t, harness.Root(t), "Makefile"), "\n"+name+": ")
		recipe, _, _ := strings.Cut(rest, "\n.PHONY")
		return recipe
	}
	ci := harness.ReadText(t, harness.Root(t), ".ci/run")
	if !strings.Contains(target("test"), " -short ") || strings.Contains(target("race"), "-short") || !strings.Contains(target("race"), "./...") ||
		!strings.Contains(ci, "\nmake test\n") || !strings.Contains(ci, "\nmake race\n") {
		t.Errorf("who runs the long tests? make test: %s\nmake race: %s", target("test"), target("race"))
	}
}

// Each package has a doc.go that says what it is and what it is not, which
// goroutines are its own, and reads on one screen. One that only helps tests, and the
// program, say what they are.
func TestStructure_PackagesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.name())
		}
		if p.isIntegration() || helps(p.name()) || strings.HasPrefix(p.name(), "docs/") || p.name() == "cmd/ami-nats-bridge" {
			continue
		}
		doc := harness.ReadText(t, harness.Root(t), p.name(), "doc.go")
		for what, pattern := range map[string]string{
			"what it is not": `(?i)\b(not|no|nothing|nobody|never|nor)\b`, "its goroutines": `(?i)goroutine`,
		} {
			if !regexp.MustCompile(pattern).MatchString(doc) {
				t.Errorf("%s/doc.go does not say %s", p.name(), what)
			}
		}
		if lines := strings.Count(doc, "\n"); lines > 45 {
			t.Errorf("%s/doc.go has %d lines: no screen", p.name(), lines)
		}
	}
}

func TestDocs_MetricsExist(t *testing.T) {
	root := harness.Root(t)
	described := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:\{(?:gauge|counter), |describe\()"(\w+)"`).FindAllStringSubmatch(harness.ReadText(t, root, "bridge/metrics_table.go")+harness.ReadText(t, root, "bridge/metrics_floor.go")+harness.ReadText(t, root, "bridge/metrics.go"), -1) {
		described["ami_nats_bridge_"+m[1]] = true
	}
	if len(described) == 0 {
		t.Fatal("bridge/metrics_table.go describes no metric that this test can find")
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	mentioned := map[string]bool{}
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		text := harness.ReadText(t, page)
		for _, name := range regexp.MustCompile(`ami_nats_bridge_\w+`).FindAllString(text, -1) {
			mentioned[name] = true
			if !described[name] {
				t.Errorf("%s mentions %s, which bridge/metrics_table.go does not describe", filepath.Base(page), name)
			}
		}
	}
	for name := range described {
		if !mentioned[name] {
			t.Errorf("%s is on no page of docs/", name)
		}
	}
}
