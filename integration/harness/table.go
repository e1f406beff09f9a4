package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tableEnd is behind each Table.
const tableEnd = "<!-- end -->\n"

// Table is a table of a page of docs that a command writes.
type Table struct {
	Page    string // the file's name
	Command string // that writes it
}

// split returns the page and what is before, in and behind the table.
func (b Table) split(t *testing.T) (path, before, table, behind string) {
	t.Helper()
	path = filepath.Join(Root(t), "docs", b.Page)
	begin := "<!-- made by " + b.Command + " -->\n"
	before, rest, begins := strings.Cut(ReadText(t, path), begin)
	table, behind, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", path)
	}
	return path, before + begin, table, tableEnd + behind
}

// Write puts table in the place of the one that is there.
func (b Table) Write(t *testing.T, table string) {
	t.Helper()
	path, before, _, behind := b.split(t)
	if err := os.WriteFile(path, []byte(before+table+behind), 0o644); err != nil {
		t.Fatal(err)
	}
}

// HasEach wants the table to have a line of each of rows, by its first cell, and a head of
// two lines, and no more.
func (b Table) HasEach(t *testing.T, rows []string) {
	t.Helper()
	_, _, table, _ := b.split(t)
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != len(rows)+2 {
		t.Errorf("%d lines for %d faults and a head of 2: run %s", len(lines), len(rows), b.Command)
	}
	for _, row := range rows {
		if !strings.Contains(table, "\n| "+row+" | ") {
			t.Errorf("%q is not in the table: run %s", row, b.Command)
		}
	}
}
