package docs

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// CONTRIBUTING.md lists the words that no name has: a name is of a package's code
// if it is declared there, be it a function's, a field's or a variable's.
func TestWords_NamesHaveThoseOfTheGlossary(t *testing.T) {
	root := harness.Root(t)
	_, table, _ := strings.Cut(harness.ReadText(t, root, "CONTRIBUTING.md"), "\n| not | but |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var words []string
	for row := range strings.Lines(table) {
		words = append(words, inCode(strings.Split(row, "|")[1])...)
	}
	if len(words) < 15 {
		t.Fatalf("CONTRIBUTING.md lists %d words only", len(words))
	}
	seen := 0
	for _, p := range packages(t) {
		files, err := filepath.Glob(filepath.Join(root, p.name(), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, name := range declared(t, file) {
				seen++
				for _, word := range wordsOf(name) {
					if slices.Contains(words, word) {
						t.Errorf("%s/%s: %s", p.name(), filepath.Base(file), name)
					}
				}
			}
		}
	}
	if seen < 5000 {
		t.Errorf("only %d names are found", seen)
	}
}

// wordsOf are the words that a name is made of, in lower case.
func wordsOf(name string) (words []string) {
	for _, word := range regexp.MustCompile(`[A-Z]*[a-z0-9]+|[A-Z]+`).FindAllString(name, -1) {
		words = append(words, strings.ToLower(word))
	}
	return words
}

// declared are the names that a file declares.
func declared(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	add := func(all ...ast.Expr) {
		for _, e := range all {
			if id, ok := e.(*ast.Ident); ok {
				names = append(names, id.Name)
			}
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			add(n.Name)
		case *ast.TypeSpec:
			add(n.Name)
		case *ast.ValueSpec:
			for _, id := range n.Names {
				add(id)
			}
		case *ast.Field:
			for _, id := range n.Names {
				add(id)
			}
		case *ast.AssignStmt:
			if n.Tok == gotoken.DEFINE {
				add(n.Lhs...)
			}
		case *ast.RangeStmt:
			if n.Tok == gotoken.DEFINE {
				add(n.Key, n.Value)
			}
		}
		return true
	})
	return names
}

// Who reads a package by go doc reads what each name is. What the standard library
// or nats-server names is known.
func TestWords_ExportedNamesAreExplained(t *testing.T) {
	root := harness.Root(t)
	known := []string{"Error", "String", "Noticef", "Debugf", "Tracef", "Warnf", "Errorf", "Read", "Write", "LocalAddr", "RemoteAddr", "Network", "Less", "Swap", "Push", "Pop"}
	seen := 0
	for _, p := range packages(t) {
		if strings.HasPrefix(p.name(), "docs/") {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, p.name(), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok || !f.Name.IsExported() || f.Recv != nil && slices.Contains(known, f.Name.Name) {
					continue
				}
				if seen++; f.Doc == nil || !strings.HasSuffix(strings.TrimSpace(f.Doc.Text()), ".") {
					t.Errorf("%s/%s: %s has no sentence", p.name(), filepath.Base(file), f.Name.Name)
				}
			}
		}
	}
	if seen < 500 {
		t.Errorf("only %d functions are found", seen)
	}
}
