//go:build unix

package ha

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

var update = flag.Bool("update", false, "write the table of docs/outages.md, if all faults happened")

var table = harness.Table{Page: "outages.md", Command: "make faults-ha FAULTS=all"}

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
	table.Write(t, b.String())
}

// The page tells of every fault that is tested, and of no other.
func TestDocs_TheTableHasEveryFault(t *testing.T) {
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	table.HasEach(t, names)
}
