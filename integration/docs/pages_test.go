package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Pages show the programs that are run.
func TestDocs_ExamplesAreShown(t *testing.T) {
	root := harness.Root(t)
	shows := func(name, fence, file string) {
		if !strings.Contains(harness.ReadText(t, root, "docs", name), "\n```"+fence+"\n"+harness.ReadText(t, root, "docs/examples", file)+"```\n") {
			t.Errorf("docs/%s shows another program than docs/examples/%s", name, file)
		}
	}
	for fence, file := range map[string]string{"go": "go/main.go", "js": "javascript/main.mjs", "python": "python/main.py"} {
		shows("actions.md", fence, file)
	}
	shows("state.md", "go", "screenpop/main.go")
	shows("state.md", "js", "javascript/board.mjs")
}

// pages are all that people read, by path.
func pages(t *testing.T) []string {
	t.Helper()
	root := harness.Root(t)
	all, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	return append(all, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md"))
}

// What one page says of another is there, and so is the section.
func TestDocs_LinksLeadSomewhere(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]+))?\)`)
	for _, page := range pages(t) {
		for _, link := range links.FindAllStringSubmatch(harness.ReadText(t, page), -1) {
			target := filepath.Join(filepath.Dir(page), link[1])
			if link[1] == "" {
				target = page
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", filepath.Base(page), err)
			} else if link[2] != "" && !slices.Contains(anchors(harness.ReadText(t, target)), link[2]) {
				t.Errorf("%s: %s has no section #%s", filepath.Base(page), filepath.Base(target), link[2])
			}
		}
	}
}

// anchors are what the headings of a page are linked to by, as GitHub makes them.
func anchors(page string) (all []string) {
	odd := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		all = append(all, strings.ReplaceAll(odd.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

// Whoever opens a page reads first whether it is for them, and what for.
func TestDocs_EachPageSaysWhomItIsFor(t *testing.T) {
	first := regexp.MustCompile(`^# .+\n\nFor [^.]+\. After this page you [^.]+[.:]`)
	for _, page := range pages(t) {
		if filepath.Base(page) != "README.md" && !first.MatchString(harness.ReadText(t, page)) {
			t.Errorf("%s does not begin with whom it is for, and what they can do after it", filepath.Base(page))
		}
	}
}

// The README leads to each page, and tells a page to work by from one to look things up in.
func TestDocs_ReadmeLeadsToEachPage(t *testing.T) {
	root := harness.Root(t)
	_, table, _ := strings.Cut(harness.ReadText(t, root, "README.md"), "| you | how to | to look up |\n")
	for _, page := range pages(t) {
		name, err := filepath.Rel(root, page)
		if err != nil {
			t.Fatal(err)
		}
		if name != "README.md" && strings.Count(table, "]("+name+")") != 1 {
			t.Errorf("README.md does not lead to %s, or by both columns", name)
		}
	}
}

// docs/logs.md has each line that is logged, and no other.
func TestDocs_LogLinesAreTheLogs(t *testing.T) {
	root, page := harness.Root(t), harness.ReadText(t, harness.Root(t), "docs/logs.md")
	code := new(strings.Builder)
	for _, p := range packages(t) {
		files, err := filepath.Glob(filepath.Join(root, p.name(), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !p.isIntegration() && !helps(p.name()) && !strings.HasSuffix(file, "_test.go") {
				code.WriteString(harness.ReadText(t, file))
			}
		}
	}
	logged := regexp.MustCompile(`\b(?:log|Log)\.(?:(?:Info|Warn|Error)\(|Log\([^"\n]+, )"([^"]+)"`).FindAllStringSubmatch(code.String(), -1)
	if len(logged) < 50 {
		t.Fatalf("only %d lines are found", len(logged))
	}
	for _, line := range logged {
		if said, _, _ := strings.Cut(line[1], ":"); !strings.Contains(page, "`"+strings.TrimSpace(said)) {
			t.Errorf("docs/logs.md does not have %q", line[1])
		}
	}
	rows := regexp.MustCompile("(?m)^\\| (`.+?) \\| .+ \\|$")
	for _, row := range rows.FindAllStringSubmatch(harness.ReadText(t, root, "docs/operating.md"), -1) {
		for _, line := range inCode(strings.Split(row[1], "|")[0]) {
			if strings.Contains(line, " ") && !strings.Contains(page, "`"+line) {
				t.Errorf("docs/operating.md has the line %q, which docs/logs.md does not have", line)
			}
		}
	}
	for _, row := range rows.FindAllStringSubmatch(page, -1) {
		for _, line := range inCode(row[1]) {
			line, _, _ = strings.Cut(line, "BRIDGE_ENV_FILE") // a name that the code has apart
			line = strings.TrimSuffix(strings.TrimRight(line, " …:"), "AMI_IDEMPOTENCY")
			if !strings.Contains(code.String(), `"`+line) {
				t.Errorf("docs/logs.md has %q, which nobody logs", line)
			}
		}
	}
}
