package reply

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// What is counted by kind has a place for each.
func TestKinds_AreAllThatThereAre(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "kind.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if text, ok := v.Values[0].(*ast.BasicLit); ok {
				values = append(values, text.Value)
			}
		}
		return true
	})
	if len(values) != len(Kinds) {
		t.Errorf("%d kinds are declared, %d listed", len(values), len(Kinds))
	}
	for _, value := range values {
		if !slices.ContainsFunc(Kinds[:], func(k Kind) bool { return `"`+string(k)+`"` == value }) {
			t.Errorf("%s is not listed", value)
		}
	}
}
