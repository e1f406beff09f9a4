package actions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy/policytest"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// headersOf are the headers that a body of an Originate asks for, one a line, or
// the beginning of why it is refused.
func headersOf(body string) string {
	r, err := parseBody(policytest.Name("Originate"), []byte(body))
	if err != nil {
		return "refused: " + err.Error()
	}
	var lines []string
	for _, h := range r.headers {
		lines = append(lines, string(h.Key)+": "+string(h.Value))
	}
	if r.requestID != "" {
		lines = append(lines, fmt.Sprint("id of ", len(r.requestID)))
	}
	return strings.Join(lines, "\n")
}

// A body is read as docs/actions.md says, and refused at each of its limits.
func TestRequest_IsReadAsDocumented(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	const nameless = "not a header's name"
	for name, test := range map[string]struct{ body, want string }{
		"nothing":                      {"", ""},
		"an empty object":              {" {} ", ""},
		"in its order":                 {`{"B":"1","A":2,"C":true}`, "B: 1\nA: 2\nC: true"},
		"numbers as they are written":  {`{"A":1e3,"B":-1.50,"C":12345678901234567890}`, "A: 1e3\nB: -1.50\nC: 12345678901234567890"},
		"an array":                     {`{"A":["1",2,false],"B":[]}`, "A: 1\nA: 2\nA: false"},
		"a name twice":                 {`{"A":"1","a":"2"}`, "A: 1\na: 2"},
		"null":                         {`{"A":null}`, "refused: \"A\" wants a string"},
		"an array in an array":         {`{"A":[["1"]]}`, "refused: \"A\" wants a string"},
		"its Action":                   {`{"Action":"Originate","A":"1"}`, "A: 1"},
		"its Action's name":            {`{"ACTION":"Originate"}`, ""},
		"its Action in another case":   {`{"Action":"originate"}`, "refused: the body's Action is not Originate"},
		"another Action":               {`{"Action":"Hangup"}`, "refused: the body's Action is not Originate"},
		"two Actions":                  {`{"Action":["Originate"]}`, "refused: the body's Action is not Originate"},
		"an ActionID of 256":           {`{"actionid":"` + x(256) + `"}`, "id of 256"},
		"an ActionID of 257":           {`{"ActionID":"` + x(257) + `"}`, "refused: ActionID wants at most 256 bytes"},
		"variables":                    {`{"Variable":{"A":"1,2","B":"\"","C":"\\","D":7}}`, "Variable: A=1\\,2\nVariable: B=\\\"\nVariable: C=\\\\\nVariable: D=7"},
		"variables of a channel":       {`{"ChanVariable":{"A":"1"}}`, "ChanVariable: A=1"},
		"variables in another case":    {`{"variable":{"A":"1"}}`, "variable: A=1"},
		"variables as text":            {`{"Variable":"A=1,B=2"}`, "Variable: A=1,B=2"},
		"an object of others":          {`{"Other":{"A":"1"}}`, "refused: \"Other\" is an object"},
		"an object in an object":       {`{"Variable":{"A":{"B":"1"}}}`, "refused: \"Variable\" wants a string"},
		"a variable with a comma":      {`{"Variable":{"A,B":"1"}}`, "refused: \"A,B\" is not a variable's name"},
		"a variable with a quote":      {`{"Variable":{"A\"B":"1"}}`, "refused: \"A\\\"B\" is not a variable's name"},
		"a variable with a backslash":  {`{"Variable":{"A\\B":"1"}}`, "refused: \"A\\\\B\" is not a variable's name"},
		"a variable with =":            {`{"Variable":{"A=B":"1"}}`, "refused: \"A=B\" is not a variable's name"},
		"a variable without a name":    {`{"Variable":{"":"1"}}`, "refused: \"\" is not a variable's name"},
		"a name with a blank and dots": {`{"a.b c":"1"}`, "a.b c: 1"},
		"a name behind a blank":        {`{" a":"1"}`, `refused: " a" is ` + nameless},
		"a name before a blank":        {`{"a ":"1"}`, `refused: "a " is ` + nameless},
		"a name with a colon":          {`{"a:b":"1"}`, `refused: "a:b" is ` + nameless},
		"a name beyond ASCII":          {`{"é":"1"}`, `refused: "é" is ` + nameless},
		"a name with a control":        {`{"a\u007f":"1"}`, `refused: "a\x7f" is ` + nameless},
		"a name of nothing":            {`{"":"1"}`, `refused: "" is ` + nameless},
		"a line of 1022":               {`{"A":"` + x(1019) + `"}`, "A: " + x(1019)},
		"a line of 1023":               {`{"A":"` + x(1020) + `"}`, `refused: "A": 1023 bytes, Asterisk takes 1022`},
		"126 headers":                  {`{"A":["` + x(0) + strings.Repeat(`","`, 125) + `"]}`, strings.TrimSuffix(strings.Repeat("A: \n", 126), "\n")},
		"127 headers":                  {`{"A":["` + x(0) + strings.Repeat(`","`, 126) + `"]}`, "refused: the body has more headers than Asterisk takes: 128"},
		"256 members":                  {`{` + members(256, `"A":[]`) + `}`, ""},
		"257 members":                  {`{` + members(257, `"A":[]`) + `}`, "refused: the body has more headers"},
		"a body of 256 KiB":            {`{"A":"1"}` + strings.Repeat(" ", 256<<10-9), "A: 1"},
		"a body of more":               {`{"A":"1"}` + strings.Repeat(" ", 256<<10-8), "refused: the body has 262145 bytes, and at most 262144"},
		"an array of all":              {`["A"]`, "refused: the body is not a JSON object"},
		"two objects":                  {`{"A":"1"} {}`, "refused: the body holds more than one JSON object"},
		"half an object":               {`{"A":"1"`, "refused: the body is not valid JSON"},
		"half a character":             {`{"A":"\ud800"}`, "refused: the body is not UTF-8, or holds half"},
		"a whole one":                  {`{"A":"\ud83d\ude00"}`, "A: \U0001F600"},
		"no UTF-8":                     {"{\"A\":\"\xff\"}", "refused: the body is not UTF-8, or holds half"},
	} {
		if got := headersOf(test.body); got != test.want && (!strings.HasPrefix(test.want, "refused: ") || !strings.HasPrefix(got, test.want)) {
			t.Errorf("%s: %.200q, want %.200q", name, got, test.want)
		}
	}
}

// A server of another charset has the text in its own; what that does not have is
// refused.
func TestRequest_IsInTheServersCharset(t *testing.T) {
	r, err := parseBody(policytest.Name("Originate"), []byte(`{"A":"Zoë"}`))
	if err != nil {
		t.Fatal(err)
	}
	for charset, want := range map[frames.Charset]string{frames.UTF8: "Zoë", frames.Latin1: "Zo\xeb"} {
		if headers, err := r.in(charset); err != nil || string(headers[0].Value) != want {
			t.Errorf("%v: %q, %v", charset, headers, err)
		}
	}
	if r, err = parseBody(policytest.Name("Originate"), []byte(`{"A":"Ω"}`)); err != nil {
		t.Fatal(err)
	}
	if headers, err := r.in(frames.Latin1); err == nil || !strings.HasPrefix(err.Error(), `"A": `) {
		t.Errorf("latin1 has no Ω, and it is %q, %v", headers, err)
	}
}

// members are n of them, in which # is the number.
func members(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("," + strings.ReplaceAll(format, "#", fmt.Sprint(i)))
	}
	return b.String()[1:]
}
