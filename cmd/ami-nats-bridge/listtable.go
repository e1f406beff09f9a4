package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

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
	for i, kind := range kinds {
		if i > 0 {
			fmt.Fprintln(w)
		}
		items := byKind[kind]
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
		head = slices.DeleteFunc(slices.Clone(columns), func(c string) bool { return !slices.Contains(head, c) })
		if len(head) == 0 {
			return nil
		}
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
