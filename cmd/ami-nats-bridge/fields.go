package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// field is one member of a JSON object.
type field struct{ name, value string }

// fieldsOf returns the members of a JSON object in their order, each as a text
// in one line; nil if raw is none.
func fieldsOf(raw []byte) []field {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	all := []field{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return all
		}
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return all
		}
		all = append(all, field{terminal.Printable(fmt.Sprint(name)), terminal.Printable(plain(value))})
	}
	return all
}

// plain is a JSON value without the quotes where they are not needed.
func plain(raw json.RawMessage) string {
	var text string
	var list []json.RawMessage
	switch {
	case string(raw) == "null":
		return "null"
	case json.Unmarshal(raw, &text) == nil:
		return text
	case json.Unmarshal(raw, &list) == nil:
		return listText(list)
	case raw[0] == '{':
		return objectText(fieldsOf(raw))
	}
	return string(raw)
}

// listText joins a list by commas. Of things that have a state, only those that
// are not ok are told.
func listText(list []json.RawMessage) string {
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
		texts = append(texts, plain(item))
	}
	if states && len(texts) == 0 {
		return "ok"
	}
	return strings.Join(texts, ",")
}

// objectText tells the members that say something: of a buffer its level and
// depth, of counts those over 0, or 0 if there is none.
func objectText(fields []field) string {
	if level := valueOf(fields, "level"); level != "" {
		return level + ":" + orDash(valueOf(fields, "depth"))
	}
	var texts []string
	for _, f := range fields {
		if f.value != "" && f.value != "0" && f.value != "null" {
			texts = append(texts, f.name+":"+f.value)
		}
	}
	if len(texts) == 0 {
		return "0"
	}
	return strings.Join(texts, ",")
}

func valueOf(fields []field, name string) string {
	for _, f := range fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}
