package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ami-nats-bridge/ami-nats-bridge"

// arrows says which packages of the module each one may import outside of its
// tests. integration, which nothing imports, may import all.
var arrows = map[string][]string{
	"amiconn/amisim":                           {},
	"amiconn/setting":                          {},
	"bridge/catalog":                           {},
	"bridge/internal/clock":                    {},
	"bridge/internal/clocktest":                {},
	"bridge/internal/costtest":                 {},
	"bridge/internal/deque":                    {},
	"bridge/internal/directget":                {},
	"bridge/internal/name":                     {},
	"bridge/internal/natstest":                 {},
	"bridge/internal/pagetest":                 {},
	"bridge/internal/subject":                  {},
	"bridge/redact":                            {},
	"cmd/ami-nats-bridge/internal/embedded":    {},
	"cmd/ami-nats-bridge/internal/env/envtest": {},
	"cmd/ami-nats-bridge/internal/terminal":    {},
	"docs/examples/consume":                    {},
	"docs/examples/go":                         {},
	"docs/schemas":                             {},
	"fairness":                                 {},
	"frames":                                   {},

	"bridge/internal/jsontext":             {"frames"},
	"bridge/outbox":                        {"bridge/internal/clock", "bridge/internal/deque"},
	"bridge/policy":                        {"amiconn/setting", "bridge/internal/name", "frames"},
	"bridge/replay":                        {"bridge/internal/directget", "frames"},
	"cmd/ami-nats-bridge/internal/logging": {"bridge/redact"},
	"correlation":                          {"frames"},

	"amiconn":                  {"amiconn/setting", "correlation", "frames"},
	"bridge/outbox/outboxtest": {"bridge/outbox"},
	"bridge/policy/policytest": {"bridge/internal/name", "bridge/policy", "frames"},

	"bridge/config": {"amiconn", "amiconn/setting", "bridge/policy"},

	"bridge/config/configtest": {"bridge/config"},
	"bridge/natsconn":          {"amiconn", "amiconn/setting", "bridge/config", "bridge/internal/clock"},
	"cmd/ami-nats-bridge/internal/env": {
		"amiconn", "amiconn/setting", "bridge/catalog", "bridge/config", "bridge/policy", "bridge/redact",
		"cmd/ami-nats-bridge/internal/embedded", "cmd/ami-nats-bridge/internal/logging", "cmd/ami-nats-bridge/internal/terminal",
	},

	"bridge/journal":           {"bridge/internal/clock", "bridge/internal/deque", "bridge/natsconn"},
	"bridge/natsconn/conntest": {"bridge/config", "bridge/internal/natstest", "bridge/natsconn"},
	"bridge/reply":             {"bridge/internal/jsontext", "bridge/natsconn", "bridge/redact", "correlation", "frames"},
	"bridge/streams":           {"bridge/config", "bridge/internal/clock", "bridge/natsconn"},

	"bridge/delivery": {
		"bridge/config", "bridge/internal/clock", "bridge/internal/directget", "bridge/natsconn", "bridge/outbox", "bridge/streams",
		"fairness",
	},
	"bridge/journal/journaltest": {"bridge/journal"},

	"bridge": {
		"amiconn", "amiconn/setting", "bridge/catalog", "bridge/config", "bridge/delivery", "bridge/internal/clock",
		"bridge/internal/deque", "bridge/internal/jsontext", "bridge/internal/name", "bridge/internal/subject", "bridge/journal",
		"bridge/natsconn", "bridge/outbox", "bridge/policy", "bridge/redact", "bridge/reply", "bridge/streams", "correlation",
		"docs/schemas", "fairness", "frames",
	},

	"cmd/ami-nats-bridge": {
		"amiconn", "amiconn/amisim", "amiconn/setting", "bridge", "bridge/catalog", "bridge/config", "bridge/natsconn", "bridge/redact", "bridge/replay",
		"bridge/streams", "cmd/ami-nats-bridge/internal/embedded", "cmd/ami-nats-bridge/internal/env",
		"cmd/ami-nats-bridge/internal/logging", "cmd/ami-nats-bridge/internal/terminal", "correlation", "frames",
	},
}

// reserved says which packages alone may import what begins so.
var reserved = map[string][]string{
	"github.com/kelseyhightower/envconfig": {"cmd/ami-nats-bridge/internal/env"},
	"github.com/nats-io/": {
		"bridge", "bridge/config", "bridge/delivery", "bridge/internal/directget", "bridge/internal/natstest", "bridge/journal",
		"bridge/journal/journaltest", "bridge/natsconn", "bridge/natsconn/conntest", "bridge/replay", "bridge/reply", "bridge/streams",
		"cmd/ami-nats-bridge", "cmd/ami-nats-bridge/internal/embedded", "docs/examples/consume", "docs/examples/go",
	},
	"github.com/prometheus/": {"bridge", "cmd/ami-nats-bridge"},
}

// goPackage is what go list says of a package. Imports are those of its
// non-test files.
type goPackage struct {
	ImportPath, Doc string
	Imports         []string
}

// name is the package's path within the module.
func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func (p goPackage) isIntegration() bool {
	return p.name() == "integration" || strings.HasPrefix(p.name(), "integration/")
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports", "./...")
	list.Dir, list.Stderr = moduleRoot(t), t.Output()
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

func TestStructure_PackagesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.name())
		}
	}
}

func TestDocs_MetricsExist(t *testing.T) {
	root := moduleRoot(t)
	described := map[string]bool{}
	for _, m := range regexp.MustCompile(`desc\("(\w+)"`).FindAllStringSubmatch(readText(t, root, "bridge/metrics.go"), -1) {
		described["ami_nats_bridge_"+m[1]] = true
	}
	if len(described) == 0 {
		t.Fatal("bridge/metrics.go describes no metric that this test can find")
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	mentioned := map[string]bool{}
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		text := readText(t, page)
		for _, name := range regexp.MustCompile(`ami_nats_bridge_\w+`).FindAllString(text, -1) {
			mentioned[name] = true
			if !described[name] {
				t.Errorf("%s mentions %s, which bridge/metrics.go does not describe", filepath.Base(page), name)
			}
		}
	}
	for name := range described {
		if !mentioned[name] {
			t.Errorf("%s is on no page of docs/", name)
		}
	}
}

func readText(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
