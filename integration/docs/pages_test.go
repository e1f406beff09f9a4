package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// docs/actions.md shows the programs that are run.
func TestDocs_ExamplesAreShown(t *testing.T) {
	root := harness.Root(t)
	page := harness.ReadText(t, root, "docs/actions.md")
	for fence, file := range map[string]string{"go": "go/main.go", "js": "javascript/main.mjs", "python": "python/main.py"} {
		if !strings.Contains(page, "\n```"+fence+"\n"+harness.ReadText(t, root, "docs/examples", file)+"```\n") {
			t.Errorf("docs/actions.md shows another program than docs/examples/%s", file)
		}
	}
}

// What one page says of another is there.
func TestDocs_LinksLeadSomewhere(t *testing.T) {
	root := harness.Root(t)
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, page := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		for _, link := range links.FindAllStringSubmatch(harness.ReadText(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s: %v", filepath.Base(page), err)
			}
		}
	}
}
