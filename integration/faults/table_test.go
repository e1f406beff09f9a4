//go:build unix

package faults

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

var update = flag.Bool("update", false, "write the table of docs/delivery.md")

// row is a line of the table.
type row struct {
	name, way string
	account
	resent int
	worst  time.Duration
}

func (r row) String() string {
	return fmt.Sprintf("%s, %s: %v; %d sent again; at worst %v without an acknowledgement", r.name, r.way, r.account, r.resent, r.worst.Round(10*time.Millisecond))
}

const (
	tableBegin = "<!-- made by make faults -->\n"
	tableEnd   = "<!-- end -->\n"
)

// split returns the page of docs and what is before, in and behind its table.
func split(t *testing.T) (path, before, table, behind string) {
	t.Helper()
	path = filepath.Join(harness.Root(t), "docs", "delivery.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), tableBegin)
	table, behind, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", path)
	}
	return path, before, table, behind
}

// writeTable puts rows into the page, if it is asked to: a fault's, in the order
// of ways, side by side. Times are the machine's own and stay out.
func writeTable(t *testing.T, rows []row) {
	t.Helper()
	if !*update {
		return
	}
	var b strings.Builder
	b.WriteString("| fault | events | missing | twice | out of order | another payload |\n|---|---|---|---|---|---|\n")
	for _, f := range faults {
		fmt.Fprintf(&b, "| %s |", f.name)
		for _, count := range []func(row) int{
			func(r row) int { return r.sent }, func(r row) int { return r.missing }, func(r row) int { return r.twice },
			func(r row) int { return r.disorder }, func(r row) int { return r.wrong },
		} {
			var cell []string
			for _, way := range ways {
				figure := "-" // not tried
				if i := slices.IndexFunc(rows, func(r row) bool { return r.name == f.name && r.way == way }); i >= 0 {
					figure = strconv.Itoa(count(rows[i]))
				}
				cell = append(cell, figure)
			}
			fmt.Fprintf(&b, " %s |", strings.Join(cell, " / "))
		}
		b.WriteString("\n")
	}
	path, before, _, behind := split(t)
	if err := os.WriteFile(path, []byte(before+tableBegin+b.String()+tableEnd+behind), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The page tells of every fault that is tested, and of no other.
func TestDocs_TheTableHasEveryFault(t *testing.T) {
	_, _, table, _ := split(t)
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != len(faults)+2 {
		t.Errorf("%d lines for %d faults and a head of 2: run make faults", len(lines), len(faults))
	}
	for _, f := range faults {
		if !strings.Contains(table, "\n| "+f.name+" | ") {
			t.Errorf("%q is not in the table: run make faults", f.name)
		}
	}
}
