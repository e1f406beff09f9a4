package telling

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// Field is one member of a JSON object.
type Field struct{ Name, Value string }

// Fields returns the members of a JSON object in their order, each as a text made
// harmless by clean; nil if raw is no object.
func Fields(raw []byte, clean func(string) string) []Field {
	return (&reader{clean}).fields(raw)
}

// Value is that of the first of fields that is called name; "" if none is.
func Value(fields []Field, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// reader reads JSON, and makes texts harmless.
type reader struct{ clean func(string) string }

func (r *reader) fields(raw []byte) []Field {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	all := []Field{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return all
		}
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return all
		}
		all = append(all, Field{r.clean(fmt.Sprint(name)), r.clean(r.plain(value))})
	}
	return all
}

// plain is a JSON value without the quotes where they are not needed.
func (r *reader) plain(raw json.RawMessage) string {
	var text string
	var list []json.RawMessage
	switch {
	case string(raw) == "null":
		return "null"
	case json.Unmarshal(raw, &text) == nil:
		return text
	case json.Unmarshal(raw, &list) == nil:
		return r.list(list)
	case raw[0] == '{':
		return object(r.fields(raw))
	}
	return string(raw)
}

// list joins a list by commas. Of things that have a state, only those that
// are not ok are told.
func (r *reader) list(list []json.RawMessage) string {
	var texts []string
	states := false
	for _, item := range list {
		var thing struct{ Name, State string }
		if item[0] == '{' && json.Unmarshal(item, &thing) == nil && thing.State != "" {
			if states = true; thing.State != "ok" {
				texts = append(texts, thing.Name+":"+thing.State)
			}
			continue
		}
		texts = append(texts, r.plain(item))
	}
	if states && len(texts) == 0 {
		return "ok"
	}
	return strings.Join(texts, ",")
}

// object tells the members that say something: of a buffer its level and
// depth, of counts those over 0, or 0 if there is none.
func object(fields []Field) string {
	if level := Value(fields, "level"); level != "" {
		return level + ":" + cmp.Or(Value(fields, "depth"), "-")
	}
	var texts []string
	for _, f := range fields {
		if f.Value != "" && f.Value != "0" && f.Value != "null" {
			texts = append(texts, f.Name+":"+f.Value)
		}
	}
	if len(texts) == 0 {
		return "0"
	}
	return strings.Join(texts, ",")
}
