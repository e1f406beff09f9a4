package present

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var writeSchemas = flag.Bool("schemas", false, "write docs/schemas/state")

const schemaDir = "../../docs/schemas/state"

// moment is a point in time in a schema.
func moment(what string) map[string]any {
	return map[string]any{
		"description": what + ", RFC 3339 in UTC with microseconds", "type": "string", "format": "date-time",
		"pattern": `^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$`,
	}
}

// schemaOf is the JSON Schema of a kind's values.
func schemaOf(k Kind) []byte {
	properties := map[string]any{
		"At":     moment("When it was last changed"),
		"Source": map[string]any{"description": "What changed it last", "enum": []string{fromEvent, fromList}},
	}
	required := []string{}
	for i, f := range kinds[k].fields {
		properties[f.name] = map[string]any{"description": "Asterisk's " + f.name, "type": "string"}
		if i < kinds[k].ids {
			required = append(required, f.name)
		}
	}
	properties["Since"], properties["Until"] = moment("When it began, if Asterisk tells"), moment("When it ends by itself, if it does")
	text, err := json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     "https://github.com/ami-nats-bridge/ami-nats-bridge/blob/main/docs/schemas/state/" + k.String() + ".schema.json",
		"title":   "$KV.AMI_STATE.<server>." + k.String() + ".<id>", "type": "object", "additionalProperties": false,
		"description": "A value of the bucket AMI_STATE, docs/state.md", "required": append(required, "At", "Source"), "properties": properties,
	}, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(text, '\n')
}

// docs/schemas/state has each kind as the model has it.
func TestSchemas_AreOfTheModel(t *testing.T) {
	for k := range Kinds {
		path := filepath.Join(schemaDir, k.String()+".schema.json")
		want := schemaOf(k)
		if *writeSchemas {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s, which -schemas writes (-model +file):\n%s", path, diff)
		}
	}
}

// compiled are the schemas by kind.
var compiled = sync.OnceValue(func() (all [Kinds]*jsonschema.Schema) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for k := range Kinds {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaOf(k)))
		if err == nil {
			err = c.AddResource(k.String(), doc)
		}
		if err == nil {
			all[k], err = c.Compile(k.String())
		}
		if err != nil {
			panic(err)
		}
	}
	return all
})

// followsSchema holds the value of a write to the schema of its kind. Each value that a
// test of this package has written is: of recorded sessions, and of made up ones.
func followsSchema(w *Write) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Value))
	if err != nil {
		return err
	}
	return compiled()[w.Kind].Validate(doc)
}
