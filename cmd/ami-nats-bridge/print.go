package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// field is one member of a JSON object.
type field struct{ name, value string }

// fieldsOf returns the members of a JSON object in their order, arrays joined
// by commas; nil if raw is none.
func fieldsOf(raw []byte) []field {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	var all []field
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
	if json.Unmarshal(raw, &text) == nil && string(raw) != "null" {
		return text
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil && string(raw) != "null" {
		return strings.Join(list, ",")
	}
	return string(raw)
}

func valueOf(fields []field, name string) string {
	for _, f := range fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// plumbing are the headers that say nothing of a list's item.
var plumbing = []string{"Event", "ActionID", "Privilege", "EventList", "SystemName", "SequenceNumber", "File", "Line", "Func"}

// printTables prints one table for each kind of event in a list, in the order
// in which the kinds came. Columns that are empty everywhere are left out.
func printTables(w io.Writer, events []json.RawMessage) error {
	var kinds []string
	byKind := make(map[string][][]field)
	for _, e := range events {
		fields := fieldsOf(e)
		kind := valueOf(fields, "Event")
		if byKind[kind] == nil {
			kinds = append(kinds, kind)
		}
		byKind[kind] = append(byKind[kind], fields)
	}
	for i, kind := range kinds {
		if i > 0 {
			fmt.Fprintln(w)
		}
		items := byKind[kind]
		if list := valueOf(items[0], "EventList"); list != "" {
			fmt.Fprintf(w, "%s:%s\n", kind, pairs(items[0], len(items[0])))
			continue
		}
		fmt.Fprintln(w, kind)
		if err := printTable(w, items); err != nil {
			return err
		}
	}
	return nil
}

func printTable(w io.Writer, items [][]field) error {
	var columns []string
	for _, item := range items {
		for _, f := range item {
			if f.value != "" && !slices.Contains(plumbing, f.name) && !slices.Contains(columns, f.name) {
				columns = append(columns, f.name)
			}
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  "+strings.Join(columns, "\t"))
	for _, item := range items {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = orDash(valueOf(item, c))
		}
		fmt.Fprintln(t, "  "+strings.Join(cells, "\t"))
	}
	return t.Flush()
}

// pairs is a short line of at most limit fields that say something, each with
// a space before it.
func pairs(fields []field, limit int) string {
	var text strings.Builder
	for _, f := range fields {
		if f.value == "" || slices.Contains(plumbing, f.name) {
			continue
		}
		if limit--; limit < 0 {
			break
		}
		value := f.value
		if strings.ContainsAny(value, " =") {
			value = fmt.Sprintf("%q", value)
		}
		fmt.Fprintf(&text, " %s=%s", f.name, value)
	}
	return text.String()
}
