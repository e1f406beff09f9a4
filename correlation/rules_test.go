package correlation

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRules_HaveEveryListActionOfAsterisk(t *testing.T) {
	tsv, err := os.ReadFile("testdata/list-actions.tsv")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(tsv)) {
		col := strings.Split(strings.TrimRight(line, "\n"), "\t")
		action, kind, items, complete := col[0], col[1], strings.Split(col[2], ","), col[3]
		if action == "WaitEvent" {
			continue
		}
		if kind == "single-event" {
			items, complete = nil, col[2]
		}
		seen++
		r := ruleFor(&Call{Action: action, Regex: true})
		if r.action != action || r.complete != complete || r.source == "" || r.has(single) != (kind == "single-event") {
			t.Errorf("%s: rule %+v, want completion %s", action, r, complete)
		}
		if diff := cmp.Diff(items, r.items); diff != "" {
			t.Errorf("%s: items (-want +got):\n%s", action, diff)
		}
	}
	if seen != len(rules) {
		t.Errorf("%d rules for %d list actions", len(rules), seen)
	}
}

func TestRules_OldFormsAreThoseOf13_1(t *testing.T) {
	want := strings.Fields(`Agents BridgeInfo BridgeList BridgeTechnologyList DAHDIShowChannels DBGet IAXpeerlist
		ParkedCalls Parkinglots PRIShowSpans QueueStatus QueueSummary SIPpeerstatus Status VoicemailUsersList`)
	var got []string
	for _, r := range rules {
		if r.has(oldForm) {
			got = append(got, r.action)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("old forms (-want +got):\n%s", diff)
	}
}

func TestRuleFor_IgnoresCaseWithoutAllocating(t *testing.T) {
	c := &Call{Action: "vOICEMAILuSERstatus"}
	if r := ruleFor(c); r.action != "VoicemailUserStatus" {
		t.Errorf("rule of %s is %q", c.Action, r.action)
	}
	if n := testing.AllocsPerRun(100, func() { ruleFor(c) }); n != 0 {
		t.Errorf("%v allocations a lookup", n)
	}
}

func TestRuleFor_UnknownActionIsGeneric(t *testing.T) {
	for _, action := range []string{"", "Ping", "NoSuchAction", "QueueStatu\u017f"} {
		if r := ruleFor(&Call{Action: action}); r != &generic {
			t.Errorf("rule of %q is %q", action, r.action)
		}
	}
}
