package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// The example of docs/actions.md is a program that does what it says.
func TestDocs_TheGoExampleRuns(t *testing.T) {
	root := moduleRoot(t)
	program := readText(t, root, "docs/examples/go/main.go")
	if !strings.Contains(readText(t, root, "docs/actions.md"), "\n```go\n"+program+"```\n") {
		t.Error("docs/actions.md shows another program than docs/examples/go/main.go")
	}
	_, addr := startSim(t, amisim.Config{NotBooted: true, Queues: []amisim.Queue{{Name: "support"}, {Name: "sales"}}})
	url := natsURL(t)
	startBridge(t, url, chaosConfig, chaosServer("pbx1", addr), chaosServer("pbx2", addr))
	run := exec.CommandContext(t.Context(), "go", "run", "./docs/examples/go")
	run.Dir, run.Env, run.Stderr = root, append(os.Environ(), "NATS_URL="+url), t.Output()
	out, err := run.Output()
	if err != nil {
		t.Fatalf("go run: %v", err)
	}
	for _, want := range []string{
		`(?m)^pbx1 2 <nil>$`, // the queue and the end of the list
		`(?m)^403 forbidden \(sent: no\): Login is always refused`,
		`(?m)^pbx1 Success <nil>$`, `(?m)^pbx2 Success <nil>$`, `\n<nil>\n$`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("it does not say %s:\n%s", want, out)
		}
	}
}

// What one page says of another is there.
func TestDocs_LinksLeadSomewhere(t *testing.T) {
	root := moduleRoot(t)
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, page := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		for _, link := range links.FindAllStringSubmatch(readText(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s: %v", filepath.Base(page), err)
			}
		}
	}
}
