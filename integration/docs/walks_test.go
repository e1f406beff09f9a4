package docs

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// section is what stands in text under the heading, down to the next of its rank.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+heading)
	if !ok {
		t.Fatalf("there is no %q", heading)
	}
	rank, _, _ := strings.Cut(heading, " ")
	rest, _, _ = strings.Cut(rest, "\n"+rank+" ")
	return rest
}

// inCode are the words in backquotes.
func inCode(text string) (words []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		words = append(words, m[1])
	}
	return words
}

// Who walks with an event or an Action finds each file, and the function in it.
func TestDocs_EachStopOfAWalkIsThere(t *testing.T) {
	root := harness.Root(t)
	page := harness.ReadText(t, root, "docs/design.md")
	stop := regexp.MustCompile("(?m)^\\| `([^`]+\\.go)` \\| `([^`]+)` \\| .+ \\|$")
	for _, walk := range []string{"## The walk of one event", "## The walk of one Action"} {
		text := section(t, page, walk)
		stops := stop.FindAllStringSubmatch(text, -1)
		if rows := strings.Count(text, "\n| `"); len(stops) != rows || rows < 20 {
			t.Errorf("%s: %d of %d rows are stops", walk, len(stops), rows)
		}
		for _, s := range stops {
			if !slices.Contains(functionsOf(t, filepath.Join(root, s[1])), s[2]) {
				t.Errorf("%s: %s has no function %s", walk, s[1], s[2])
			}
		}
	}
}

// functionsOf are a file's functions, methods as Type.Method.
func functionsOf(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		switch {
		case !ok:
		case f.Recv == nil:
			names = append(names, f.Name.Name)
		default:
			of := f.Recv.List[0].Type
			if pointer, ok := of.(*ast.StarExpr); ok {
				of = pointer.X
			}
			if plain, ok := of.(*ast.Ident); ok {
				names = append(names, plain.Name+"."+f.Name.Name)
			}
		}
	}
	return names
}

// helps reports whether a package is none of the product: the examples, and what
// helps tests.
func helps(name string) bool {
	return strings.HasSuffix(name, "test") || strings.HasPrefix(name, "docs/examples/")
}

// docs/design.md has each package with its arrows, above all that it imports.
func TestDocs_DesignHasThePackages(t *testing.T) {
	page := harness.ReadText(t, harness.Root(t), "docs/design.md")
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .+ \\| ?(.*?) ?\\|$")
	documented, floorOf := map[string][]string{}, map[string]int{}
	for floor, text := range strings.Split(section(t, page, "## Packages"), "\n### ") {
		for _, m := range row.FindAllStringSubmatch(text, -1) {
			documented[m[1]], floorOf[path.Base(m[1])] = inCode(m[2]), floor
		}
	}
	is := map[string][]string{}
	for _, p := range packages(t) {
		if p.isIntegration() || helps(p.name()) {
			continue
		}
		is[p.name()] = nil
		for _, imported := range p.Imports {
			if target, own := strings.CutPrefix(imported, module+"/"); own {
				is[p.name()] = append(is[p.name()], path.Base(target))
			}
		}
		slices.Sort(is[p.name()])
		for _, target := range is[p.name()] {
			if floorOf[target] >= floorOf[path.Base(p.name())] {
				t.Errorf("docs/design.md has %s not above %s, which it imports", p.name(), target)
			}
		}
	}
	if diff := cmp.Diff(is, documented); diff != "" {
		t.Errorf("packages (-are +in docs/design.md):\n%s", diff)
	}
}

// docs/design.md says who alone may import what.
func TestDocs_DesignHasWhatIsReserved(t *testing.T) {
	text := section(t, harness.ReadText(t, harness.Root(t), "docs/design.md"), "## Packages")
	for prefix, owners := range reserved {
		_, row, _ := strings.Cut(text, "\n| `"+prefix+"` | ")
		row, _, _ = strings.Cut(row, "\n")
		var want []string
		for _, owner := range owners {
			if !helps(owner) {
				want = append(want, path.Base(owner))
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, inCode(row)); diff != "" {
			t.Errorf("%s (-may +in docs/design.md):\n%s", prefix, diff)
		}
	}
}

// Each file of the module that a page names by its path is there.
func TestDocs_FilesAreThere(t *testing.T) {
	root := harness.Root(t)
	file := regexp.MustCompile(`^(?:\w[\w.-]*/)*[\w*.-]+\.(?:go|tsv|txt|jsonl|yml)$|^(?:amiconn|bridge|cmd|correlation|deploy|docs|fairness|frames|integration)/[\w/.*-]+$`)
	for _, page := range pages(t) {
		for _, name := range inCode(harness.ReadText(t, page)) {
			if !file.MatchString(name) || name == "doc.go" { // which each package has
				continue
			}
			if found, err := filepath.Glob(filepath.Join(root, name)); err != nil || len(found) == 0 {
				if _, err := os.Stat(filepath.Join(root, "docs", name)); err != nil {
					t.Errorf("%s names %s, which is not there", filepath.Base(page), name)
				}
			}
		}
	}
}

// Who wants to change something finds in CONTRIBUTING.md what to open, and where
// each kind of test is.
func TestDocs_ContributorsFindWhatToOpen(t *testing.T) {
	root := harness.Root(t)
	page := harness.ReadText(t, root, "CONTRIBUTING.md")
	for heading, column := range map[string]int{"## To change X, open Y": 2, "## Floors": 2} {
		rows := regexp.MustCompile(`(?m)^\| .+ \|$`).FindAllString(section(t, page, heading), -1)
		if len(rows) < 10 {
			t.Errorf("%s: only %d rows", heading, len(rows))
		}
		for _, row := range rows[1:] {
			opens := 0
			for _, name := range inCode(strings.Split(row, "|")[column]) {
				if _, err := os.Stat(filepath.Join(root, name)); err == nil {
					opens++
				} else if strings.Contains(name, "/") && !strings.HasPrefix(name, "/") {
					t.Errorf("%s: %v", heading, err)
				}
			}
			if opens == 0 && !strings.HasPrefix(row, "| a log line ") && !strings.HasPrefix(row, "| a bound ") {
				t.Errorf("%s: nothing to open in %s", heading, row)
			}
		}
	}
}
