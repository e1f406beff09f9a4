package policy

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

func TestRules_HoldForEachHeaderAsAsteriskReadsIt(t *testing.T) {
	for _, c := range []struct{ rules, headers, want string }{
		{"Originate: Context in (dialer, outbound)", "Context: dialer", ""},
		{"Originate: Context in (dialer, outbound)", "context: outbound", ""},
		{"Originate: Context in (dialer, outbound)", "Context: \t dialer", ""},
		{"Originate: Context in (dialer, outbound)", "Context: internal", "has another"},
		{"Originate: Context in (dialer, outbound)", "Context: Dialer", "has another"},
		{"Originate: Context in (dialer, outbound)", "Context: dialer ", "has another"},
		{"Originate: Context in (dialer, outbound)", "Context: dialer\nCONTEXT: internal", "has another"},
		{"Originate: Context in (dialer, outbound)", "Context: internal\nContext: dialer", "has another"},
		{"Originate: Context in (dialer, outbound)", "Context:\nContext: dialer", "has another"},
		{"Originate: Context in (dialer, outbound)", "Application: Playback", "has none"},
		{"Originate: Context in (dialer, outbound)", " Context: dialer", "has none"},
		{"Originate: Context in (dialer, outbound)", "Context : dialer", "has none"},
		{"Originate: Priority in (1)", "Priority: 1", ""},
		{"Originate: Sources in (a)", "\u017fource\u017f: a", "has none"},
		{`Originate: Context in ("a, b", "c;d", "e""f", "")`, "Context: a, b", ""},
		{`Originate: Context in ("a, b", "c;d", "e""f", "")`, "Context: c;d", ""},
		{`Originate: Context in ("a, b", "c;d", "e""f", "")`, `Context: e"f`, ""},
		{`Originate: Context in ("a, b", "c;d", "e""f", "")`, "Context:", ""},
		{`Originate: Context in ("a, b", "c;d", "e""f", "")`, "Context: a", "has another"},
		{"Originate: Context not in (internal)", "Context: dialer", ""},
		{"Originate: Context not in (internal)", "Exten: 1", ""},
		{"Originate: Context not in (internal)", "Context:  internal", "has another"},
		{"Originate: Context absent or in (dialer)", "Context: dialer", ""},
		{"Originate: Context absent or in (dialer)", "Exten: 1", ""},
		{"Originate: Context absent or in (dialer)", "Context: internal", "has another"},
		{"Originate: Channel matches ^PJSIP/", "Channel: PJSIP/100", ""},
		{"Originate: Channel matches ^PJSIP/", "Channel: Local/1@PJSIP/", "has another"},
		{"Originate: Channel matches ^PJSIP/", "Exten: 1", "has none"},
		{`Originate: Channel matches "^(PJSIP|x;y)/[0-9]{1,3}$"`, "Channel: PJSIP/100", ""},
		{`Originate: Channel matches "^(PJSIP|x;y)/[0-9]{1,3}$"`, `Channel: x;y/100`, ""},
		{`Originate: Account matches "^(PJSIP|""x;y"")/[0-9]{1,3}$"`, `Account: "x;y"/100`, ""},
		{"Originate: Channel not matches (?i)^local/", "Channel: LOCAL/1@x", "has another"},
		{"Originate: Channel not matches (?i)^local/", "Channel: PJSIP/1", ""},
		{"Originate: Channel not matches (?i)^local/", "Exten: 1", ""},
		{"Originate: Context not in (internal)", "Context:", ""},
		{"Originate: Exten matches ^x$", "Exten: x ", "has another"},
		{"Originate: Exten matches ^x$", "Exten: x\t", "has another"},
		{"Originate: Exten not matches ^x$", "Exten: x ", ""},
		{"Originate: Exten not in (x)", "Exten: x ", ""},
		{"Originate: Exten absent or matches ^x$", "Exten: x ", "has another"},
		{"Originate: Application absent", "Context: dialer", ""},
		{"Originate: Application absent", "Application: Playback", "has another"},
		{"Originate: Application absent", "application:", "has another"},
		{`Originate: Variable absent or matches "^(A|B)=[^,]*$"`, "Variable: A=1\nVariable: B=2", ""},
		{`Originate: Variable absent or matches "^(A|B)=[^,]*$"`, "Variable: A=1,C=2", "has another"},
		{"Orig*: Context in (dialer)", "Context: internal", "has another"},
		{"originate: Context in (dialer)", "Context: internal", "has another"},
		{"Hangup: Context in (dialer)", "Context: internal", ""},
		{"Originate: Context in (dialer); Originate: Exten in (1)", "Context: dialer\nExten: 1", ""},
	} {
		refused := judged(testPolicy(t, "", "", c.rules), "Originate", testHeaders(c.headers))
		got := ""
		if refused != nil {
			got = "has another"
			if strings.Contains(refused.Reason, " has no ") {
				got = "has none"
			}
			if refused.Rule != "ACTIONS_RULES: "+c.rules || !strings.Contains(refused.Reason, refused.Rule) {
				t.Errorf("%s: refused by %q: %q", c.rules, refused.Rule, refused.Reason)
			}
		}
		if got != c.want {
			t.Errorf("%s with %q: %q, want %q", c.rules, c.headers, got, c.want)
		}
	}
}

func TestRules_AllMustHold(t *testing.T) {
	p := testPolicy(t, "", "", "Originate: Context in (dialer); Originate: Exten in (1)")
	for headers, want := range map[string]string{
		"Context: dialer\nExten: 2": "ACTIONS_RULES: Originate: Exten in (1)",
		"Context: other\nExten: 1":  "ACTIONS_RULES: Originate: Context in (dialer)",
		"Context: dialer\nExten: 1": "",
	} {
		wantRule(t, p, "Originate", headers, want)
	}
}

func TestRules_AreComparedInTheServersCharset(t *testing.T) {
	p := testPolicy(t, "", "", "Originate: Context not in (b\u00fcro)")
	p.lists.Charset = frames.Latin1
	if judged(p, "Originate", testHeaders("Context: b\xfcro")) == nil {
		t.Error("not in does not see a latin1 value")
	}
}

func TestRules_DecodeNamesTheRuleAndWhatItWants(t *testing.T) {
	for text, want := range map[string]string{
		"Originate Context in (a)":             `rule "Originate Context in (a)" ` + wantsRule,
		"Originate: Context":                   `rule "Originate: Context" ` + wantsRule,
		"Originate: Context is (a)":            `rule "Originate: Context is (a)" ` + wantsRule,
		"Originate: Con text in (a)":           `rule "Originate: Con text in (a)" ` + wantsRule,
		"Originate: Context not absent":        `rule "Originate: Context not absent" ` + wantsRule,
		"Originate: Context in ()":             `rule "Originate: Context in ()" wants one value or more between ( and )`,
		"Originate: Context in (a,,b)":         `rule "Originate: Context in (a,,b)" wants values such as in (a, "b, c")`,
		"Originate: Context in (a) (b)":        `rule "Originate: Context in (a) (b)" wants values such as in (a, "b, c")`,
		`Originate: Context in (a "b")`:        `rule "Originate: Context in (a \"b\")" wants values such as in (a, "b, c")`,
		"[a: Context absent":                   `rule "[a: Context absent" wants an action or a pattern such as Queue*`,
		`Originate: Context in ("a)`:           `a quote " is not closed`,
		"Originate: Channel matches ^(":        `rule "Originate: Channel matches ^(" wants a regular expression (RE2); one that holds ; or a quote stands in quotes`,
		"Hangup: Channel absent; x; y":         `rule "x" ` + wantsRule + `; rule "y" ` + wantsRule,
		" ; Hangup:Channel absent;":            "",
		"Hangup : Channel   not   in(a , b ) ": "",
	} {
		got := ""
		r := Rules{{text: "before"}}
		if err := r.Decode(text); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
		if kept := r.String() == "before"; kept != (want != "") {
			t.Errorf("%s: the rules are now %s", text, r)
		}
	}
}

// confined is the example of docs/policy.md.
const confined = `Originate: Channel matches "^PJSIP/[0-9]{2,15}@trunk$";
Originate: Context in (dialer, outbound);
Originate: Exten matches ^[0-9]{2,6}$;
Originate: Priority in (1);
Originate: Application absent;
Originate: Data absent;
Originate: PreDialGoSub absent;
Originate: Variable absent or matches "^(CAMPAIGN|LEAD)=[A-Za-z0-9_-]*$"`

func TestRules_TheDocumentsExampleConfines(t *testing.T) {
	const good = "Channel: PJSIP/0301234@trunk\nContext: dialer\nExten: 100\nPriority: 1\nVariable: LEAD=7\nCallerID: 030\nAsync: true"
	if doc, err := os.ReadFile("../../docs/policy.md"); err != nil || !strings.Contains(string(doc), "\n"+confined+"\n") {
		t.Error("docs/policy.md has another example:", err)
	}
	p := testPolicy(t, "", "", confined)
	if refused := judged(p, "Originate", testHeaders(good)); refused != nil {
		t.Error(refused)
	}
	for _, bad := range []string{
		strings.Replace(good, "PJSIP/0301234@trunk", "Local/1@internal", 1),
		strings.Replace(good, "PJSIP/0301234@trunk", "PJSIP/0301234@trunk&Local/1@x", 1),
		strings.Replace(good, "Context: dialer", "Context: internal", 1),
		strings.Replace(good, "Context: dialer\n", "", 1),
		strings.Replace(good, "Exten: 100", "Exten: s", 1),
		strings.Replace(good, "Priority: 1", "Priority: 3", 1),
		strings.Replace(good, "LEAD=7", "LEAD=7,X=1", 1),
		good + "\nApplication: Playback", good + "\nPreDialGoSub: internal,s,1", good + "\nContext: internal",
	} {
		if judged(p, "Originate", testHeaders(bad)) == nil {
			t.Errorf("%q is not refused", bad)
		}
	}
}

// asteriskReads returns what astman_get_header would: the first value of name
// or, as it is for some, the first that is not empty.
func asteriskReads(headers []frames.Header, name string, nonEmpty bool) string {
	lower := func(c byte) byte {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	for _, h := range headers {
		same := len(h.Key) == len(name)
		for i := 0; same && i < len(name); i++ {
			same = lower(h.Key[i]) == lower(name[i])
		}
		value := h.Value
		for len(value) > 0 && value[0] <= ' ' {
			value = value[1:]
		}
		if same && (len(value) > 0 || !nonEmpty) {
			return string(value)
		}
	}
	return ""
}

func FuzzRules(f *testing.F) {
	f.Add("Originate: Context in (dialer, outbound); Hangup: Channel matches ^PJSIP/", "Context: dialer\nExten: 1")
	f.Add(confined, "context: \tinternal\nContext: dialer")
	f.Add(`*: X absent or in ("a;""b", c); Q[a-c]*: Y not matches "x;y"`, "Application: SYSTEM\nContext: outbound\n\u017f: x")
	f.Add("Originate: Context not in (a)", "Context:\nApplication: AGI\nContext: dialer")
	contexts := []string{"dialer", "outbound"}
	p := testPolicy(f, "", "", "Originate: Context in (dialer, outbound)")
	f.Fuzz(func(t *testing.T, text, lines string) {
		headers := testHeaders(lines)
		if judged(p, "Originate", headers) == nil {
			for _, nonEmpty := range []bool{false, true} {
				if got := asteriskReads(headers, "Context", nonEmpty); !slices.Contains(contexts, got) {
					t.Errorf("%q goes to context %q", lines, got)
				}
				switch got := strings.ToLower(asteriskReads(headers, "Application", nonEmpty)); got {
				case "system", "trysystem", "agi", "eagi", "externalivr", "exec", "execif":
					t.Errorf("%q runs %s", lines, got)
				}
			}
		}
		var rules, again Rules
		if rules.Decode(text) != nil {
			return
		}
		if err := again.Decode(rules.String()); err != nil {
			t.Fatalf("%q as %q: %v", text, rules, err)
		}
		if !slices.EqualFunc(rules, again, sameRule) {
			t.Errorf("%q reads as %+v, then as %+v", text, rules, again)
		}
		for i := range rules {
			_ = rules[i].refuses("Originate", headers, frames.Latin1)
		}
	})
}

func sameRule(a, b rule) bool {
	same := a.text == b.text && slices.Equal(a.action, b.action) && a.header == b.header && a.missing == b.missing &&
		a.not == b.not && slices.Equal(a.in, b.in) && (a.matches == nil) == (b.matches == nil)
	return same && (a.matches == nil || a.matches.String() == b.matches.String())
}
