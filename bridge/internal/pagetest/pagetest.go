package pagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Says wants the page called name to say each of texts, however its lines are
// broken.
func Says(t *testing.T, name string, texts ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(read(t, name)), " ")
	for _, want := range texts {
		if !strings.Contains(flat, strings.Join(strings.Fields(want), " ")) {
			t.Errorf("docs/%s.md does not say %q", name, want)
		}
	}
}

// Seconds is d as the pages write it: 5 s.
func Seconds(d time.Duration) string { return fmt.Sprintf("%v s", d.Seconds()) }

var limit = regexp.MustCompile("`(\\w+)`,? (?:fewer than )?([0-9][0-9,]*)(?: ([KM])iB)?(?: - ([0-9]+) KiB)?")

// Limits wants each of limits, by its name in the code, to be in docs/design.md's
// table of bounds, in bytes where they are of KiB or MiB.
func Limits(t *testing.T, limits map[string]int) {
	t.Helper()
	_, table, _ := strings.Cut(read(t, "design"), "\n## Bounds\n")
	table, _, _ = strings.Cut(table, "\n## ")
	documented := make(map[string]int)
	for _, m := range limit.FindAllStringSubmatch(table, -1) {
		n, err := strconv.Atoi(strings.ReplaceAll(m[2], ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		n *= map[string]int{"": 1, "K": 1 << 10, "M": 1 << 20}[m[3]]
		if m[4] != "" {
			less, err := strconv.Atoi(m[4])
			if err != nil {
				t.Fatal(err)
			}
			n -= less << 10
		}
		documented[m[1]] = n
	}
	for name, want := range limits {
		if documented[name] != want {
			t.Errorf("%s is %d, docs/design.md says %d", name, want, documented[name])
		}
	}
}

// read returns the text of a page.
func read(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	text, err := os.ReadFile(filepath.Join(dir, "docs", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
