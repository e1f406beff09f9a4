package harness

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schemas reads docs/schemas, or a folder below, by name.
func Schemas(t testing.TB, below ...string) map[string]*jsonschema.Schema {
	t.Helper()
	path := append([]string{Root(t), "docs", "schemas"}, below...)
	files, err := filepath.Glob(filepath.Join(append(path, "*.schema.json")...))
	if err != nil || len(files) == 0 {
		t.Fatalf("schemas: %q, %v", files, err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schemas := map[string]*jsonschema.Schema{}
	for _, file := range files {
		schema, err := compiler.Compile(file)
		if err != nil {
			t.Fatal(err)
		}
		schemas[strings.TrimSuffix(filepath.Base(file), ".schema.json")] = schema
	}
	return schemas
}

// Document reads a JSON object as jsonschema wants it.
func Document(t *testing.T, text []byte) map[string]any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
	object, ok := doc.(map[string]any)
	if !ok {
		t.Fatalf("%.200s is no object", text)
	}
	return object
}
