package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// printTables prints one table for each kind of event in a list, in the order
// in which the kinds came. Columns that are empty everywhere are left out, and
// others than columns if it has any; what else did not fit is named.
func printTables(w io.Writer, screen terminal.Screen, events []json.RawMessage, columns []string) error {
	var kinds []string
	byKind := make(map[string][][]field)
	for _, e := range events {
		fields := fieldsOf(e)
		kind := telling.Value(fields, "Event")
		if byKind[kind] == nil {
			kinds = append(kinds, kind)
		}
		byKind[kind] = append(byKind[kind], fields)
	}
	first := true
	for _, kind := range kinds {
		items := byKind[kind]
		if len(columns) > 0 && telling.Value(items[0], "EventList") == "" && len(those(columnsOf(kind, items), columns)) == 0 {
			continue
		}
		if !first {
			fmt.Fprintln(w)
		}
		first = false
		if list := telling.Value(items[0], "EventList"); list != "" {
			line := append(terminal.Line{{Text: kind + ":"}}, fieldLine(telling.Others(items[0]))...)
			if err := screen.Print(w, line); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintln(w, kind)
		if err := printItems(w, screen, kind, items, columns); err != nil {
			return err
		}
	}
	return nil
}

// printItems prints items of one kind as a table.
func printItems(w io.Writer, screen terminal.Screen, kind string, items [][]field, columns []string) error {
	head := columnsOf(kind, items)
	if len(columns) > 0 {
		head = those(head, columns)
	}
	t := terminal.Table{Indent: "  ", Head: head}
	for _, item := range items {
		cells := make([]string, len(head))
		for i, c := range head {
			cells[i] = orDash(telling.Saying(telling.Value(item, c)))
		}
		t.Rows = append(t.Rows, cells)
	}
	left, err := screen.PrintTable(w, &t)
	if err != nil || len(left) == 0 {
		return err
	}
	return printWrapped(w, screen, "  not shown (--columns): ", left)
}

// those are the columns of head that are asked for, in that order; their case does not
// matter, as in AMI.
func those(head, columns []string) (all []string) {
	for _, c := range columns {
		if i := slices.IndexFunc(head, func(h string) bool { return strings.EqualFold(h, c) }); i >= 0 {
			all = append(all, head[i])
		}
	}
	return all
}

// noColumns says which columns that were asked for no event of a list has, and the nearest
// that one has.
func noColumns(events []json.RawMessage, columns []string) (notes []string) {
	var known []string
	for _, e := range events {
		for _, f := range fieldsOf(e) {
			if !slices.Contains(known, f.Name) && !slices.Contains(telling.Plumbing, f.Name) {
				known = append(known, f.Name)
			}
		}
	}
	for _, c := range columns {
		if len(those(known, []string{c})) == 0 && len(known) > 0 {
			notes = append(notes, fmt.Sprintf("--columns: no event of this list has %.64s: the nearest is %s", c, catalog.NearestTo(c, known)))
		}
	}
	return notes
}

// printWrapped prints a list behind a head, in as many lines as it takes.
func printWrapped(w io.Writer, screen terminal.Screen, head string, list []string) error {
	line := head + list[0]
	for _, item := range list[1:] {
		if screen.Width > 0 && terminal.Width(line+", "+item)+1 > screen.Width {
			if err := screen.Print(w, terminal.Line{{Style: terminal.Dim, Text: line + ","}}); err != nil {
				return err
			}
			line = "    " + item
			continue
		}
		line += ", " + item
	}
	return screen.Print(w, terminal.Line{{Style: terminal.Dim, Text: line}})
}

// columnsOf are the headers that some item has, those that matter first.
func columnsOf(kind string, items [][]field) []string {
	var there []string
	for _, item := range items {
		for _, f := range item {
			if telling.Saying(f.Value) != "" && !slices.Contains(telling.Plumbing, f.Name) && !slices.Contains(there, f.Name) {
				there = append(there, f.Name)
			}
		}
	}
	var head []string
	for _, h := range slices.Concat(telling.Headers()[kind], there) {
		if slices.Contains(there, h) && !slices.Contains(head, h) {
			head = append(head, h)
		}
	}
	return head
}
