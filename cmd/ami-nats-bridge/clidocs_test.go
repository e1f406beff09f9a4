package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Each flag that stands on the page of the command line is one of call's or of tail's.
func TestDocs_CommandLineHasTheFlags(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	call, _ := printed(t, 0, "call", "--help")
	tail, _ := printed(t, 0, "tail", "--help")
	for _, flag := range regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(call+tail, "--"+flag[1]) && !strings.Contains(call, "no-]"+strings.TrimPrefix(flag[1], "no-")) {
			t.Errorf("no --%s", flag[1])
		}
	}
}
