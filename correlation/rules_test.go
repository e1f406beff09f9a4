package correlation

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRules_AreOneForEachOddReply holds the table to the reference: a row for
// each Action that answers with anything but one Response, and no other.
func TestRules_AreOneForEachOddReply(t *testing.T) {
	traits := map[string]trait{
		"old": oldForm, "empty-is-plain": emptyIsPlain, "items-without-id": itemsWithoutActionID,
		"error-then-complete": errorThenComplete, "regex": regexList, "literal-privilege": literalPrivilege,
		"no-response": noResponse, "attempt": attempt, "more-errors": moreErrors, "fenced": fenced, "text": plainText,
	}
	rows := 0
	for _, k := range knownActions(t) {
		var want trait
		for _, oddity := range k.odd {
			want |= traits[oddity]
		}
		items, complete := k.items, k.completion
		switch {
		case k.is("refused"), k.reply == "-" && want == 0:
			if r := ruleFor(&Call{Action: k.action, Regex: true}); r != &generic {
				t.Errorf("%s: rule %+v, want none", k.action, r)
			}
			continue
		case k.is("no-response"):
			complete = "DataGet Tree"
		case k.reply == "event":
			want |= single
			items, complete = nil, k.items[0]
		case k.reply == "-":
			complete = ""
		}
		rows++
		r := ruleFor(&Call{Action: k.action, Regex: true})
		if r.action != k.action || r.complete != complete || r.source == "" || r.traits != want {
			t.Errorf("%s: rule %+v, want completion %q, traits %b", k.action, r, complete, want)
		}
		if diff := cmp.Diff(items, r.items); diff != "" {
			t.Errorf("%s: items (-want +got):\n%s", k.action, diff)
		}
	}
	if rows != len(rules) {
		t.Errorf("%d rules for %d odd replies", len(rules), rows)
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
