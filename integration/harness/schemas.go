package harness

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schemas reads docs/schemas, by name.
func Schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Root(t), "docs", "schemas", "*.schema.json"))
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

// SameSchema compares a schema that discovery shows with its file.
func SameSchema(t *testing.T, file, shown string) {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(ReadText(t, Root(t), "docs", "schemas", file))); err != nil {
		t.Fatal(err)
	}
	if compact.String() != shown {
		t.Errorf("discovery shows another schema than %s: %.200s", file, shown)
	}
}
