//go:build unix

package faults

import (
	"flag"
	"fmt"
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

var table = harness.Table{Page: "delivery.md", Command: "make faults"}

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
