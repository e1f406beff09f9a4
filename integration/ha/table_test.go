//go:build unix

package ha

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

var update = flag.Bool("update", false, "write the table of docs/outages.md, if all faults happened")

const (
	tableBegin = "<!-- made by make faults-ha FAULTS=all -->\n"
	tableEnd   = "<!-- end -->\n"
)

// split returns the page of docs and what is before, in and behind its table.
func split(t *testing.T) (path, before, table, behind string) {
	t.Helper()
	path = filepath.Join(harness.Root(t), "docs", "outages.md")
	before, rest, begins := strings.Cut(harness.ReadText(t, path), tableBegin)
	table, behind, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", path)
	}
	return path, before, table, behind
}

// writeTable puts what became of each fault into the page, if it is asked to. Times are the
// machine's own and stay out.
func writeTable(t *testing.T, found map[string]result) {
	t.Helper()
	if !*update || t.Failed() || len(found) != len(faults) {
		return
	}
	var b strings.Builder
	b.WriteString("| fault | times | events | missing | twice | out of order | Gaps | holes in the numbering |\n|---|---|---|---|---|---|---|---|\n")
	for _, f := range faults {
		r := found[f.id]
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d |\n", f.name, r.times, r.events, r.missing, r.twice, r.disorder, r.gaps, r.holes)
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
		t.Errorf("%d lines for %d faults and a head of 2: run make faults-ha FAULTS=all", len(lines), len(faults))
	}
	for _, f := range faults {
		if !strings.Contains(table, "\n| "+f.name+" | ") {
			t.Errorf("%q is not in the table: run make faults-ha FAULTS=all", f.name)
		}
	}
}
