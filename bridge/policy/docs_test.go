package policy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
)

// docs/policy-rules.md lists what the policy lists.
func TestDocs_PolicyListsWhatPasses(t *testing.T) {
	page, err := os.ReadFile("../../docs/policy-rules.md")
	if err != nil {
		t.Fatal(err)
	}
	paragraph := func(title string) []string {
		_, text, _ := strings.Cut(string(page), "\n**"+title+"**")
		text, _, _ = strings.Cut(text, "\n\n")
		return regexp.MustCompile(`\w+`).FindAllString(text, -1)
	}
	words := paragraph("Applications")
	for _, a := range applications {
		if !slices.Contains(words, a.name) {
			t.Errorf("the application %s is not documented", a.name)
		}
		if r := judged(testPolicy(t, "", "", ""), "Originate", testHeaders("Application: "+a.name+"\nData: x")); r != nil {
			t.Errorf("%s with x is refused by %q", a.name, r.Rule)
		}
	}
	words = paragraph("Functions")
	for _, f := range slices.Concat(functions[:], families[:]) {
		if !slices.Contains(words, f) {
			t.Errorf("the function %s is not documented", f)
		}
	}
	words = paragraph("Variables")
	for _, v := range variables {
		if !slices.Contains(words, v.begin) {
			t.Errorf("the variable %s is not documented", v.begin)
		}
	}
	for _, row := range arguments {
		grant := row.action + ":" + row.grant
		if !strings.Contains(string(page), grant) && row.action != "MailboxCount" {
			t.Errorf("%s is not documented", grant)
		}
	}
}

// Each Action that is known to have a header of a file or a command is refused
// by default, or has a row.
func TestPolicy_EachFileAndCommandHasARow(t *testing.T) {
	harmful := map[string]string{}
	for line := range strings.Lines(readTable(t)) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "#") || len(fields) < 4 {
			continue
		}
		for _, header := range fields[3:] {
			if regexp.MustCompile(`(?i)^(command|.*file(name)?)$`).MatchString(header) {
				harmful[fields[0]+" "+header] = fields[0]
			}
		}
	}
	if len(harmful) < 10 {
		t.Fatalf("only %d such headers", len(harmful))
	}
	p := testPolicy(t, "", "", "")
	for name, action := range harmful {
		_, header, _ := strings.Cut(name, " ")
		if judged(p, catalog.Canonical(action), testHeaders(header+": /tmp/x")) == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func readTable(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../catalog/actions.tsv")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
