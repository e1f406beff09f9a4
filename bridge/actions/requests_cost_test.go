package actions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
)

// Whatever a request holds, it costs no more than so many bytes of memory for
// each of its own; one that goes over a bound is not read beyond it. Allocations
// are counted in place of time.
func TestRequests_CostNoMoreThanTheirSize(t *testing.T) {
	const little = 128 << 10
	a := unconnected(t, "pbx1")
	repeat := strings.Repeat
	for name, test := range map[string]struct {
		body string
		most int // bytes
	}{
		"more than is read":               {"{" + members(80_000, `"k#":[]`) + "}", little},
		"empty arrays":                    {"{" + members(19_000, `"k#":[]`) + "}", little},
		"a name again and again":          {"{" + members(30_000, `"k":[]`) + "}", little},
		"values without end":              {`{"k":[` + members(60_000, `1`) + "]}", little},
		"variables without end":           {`{"Variable":{` + members(19_000, `"k#":1`) + "}}", little},
		"depth":                           {`{"a":` + repeat("[", 100_000) + repeat("]", 100_000) + "}", little},
		"depth of objects":                {repeat(`{"Variable":`, 20_000) + "1" + repeat("}", 20_000), little},
		"half a character at the end":     {`{"a":"` + repeat(`\\`, 120_000) + `\ud800"}`, little},
		"a huge number":                   {`{"a":` + repeat("9", 250_000) + "}", 1 << 20},
		"a huge exponent":                 {`{"a":1e` + repeat("9", 250_000) + "}", 1 << 20},
		"a long name":                     {`{"` + repeat("a", 250_000) + `":1}`, 1 << 20},
		"a long value":                    {`{"a":"` + repeat("x", 250_000) + `"}`, 1 << 20},
		"escapes":                         {`{"a":"` + repeat(`\u0041`, 42_000) + `"}`, 1 << 20},
		"blanks":                          {`{` + repeat(" ", 250_000) + `}`, 1 << 20},
		"values that may be secret":       {`{` + members(120, `"V#":"`+repeat("a=", 500)+`"`) + `}`, 4 << 20},
		"values that may be URLs":         {`{` + members(120, `"V#":"`+repeat("://", 330)+`"`) + `}`, 4 << 20},
		"values that may be secret words": {`{` + members(120, `"Command":"`+repeat("a ", 500)+`"`) + `}`, 4 << 20},
		"one field of many values":        {`{"V":[` + members(120, `"`+repeat("a=", 500)+`"`) + `]}`, 4 << 20},
		"many names of variables":         {`{` + members(120, `"Variable":"`+repeat(",", 1000)+`"`) + `}`, 16 << 20},
		"variables of functions":          {`{` + members(120, `"Variable":"`+repeat("A(,", 333)+`"`) + `}`, 16 << 20},
		"an object of variables":          {`{"Variable":{` + members(120, `"v#":"`+repeat(`\"`, 250)+`"`) + `}}`, 4 << 20},
	} {
		for _, m := range []*nats.Msg{
			requestFor("pbx1", "Originate", test.body),
			requestFor("pbx1", "Originate", test.body, "Ami-Validate", "strict"),
		} {
			if got := costtest.Bytes(func() { a.to(m) }); got > test.most {
				t.Errorf("%s, %d bytes with %v, allocates %d", name, len(test.body), m.Header, got)
			}
		}
	}
}

// So it is with what stands around the body: the headers, the subject and the
// reply subject.
func TestRequests_HeadersCostNoMoreThanTheirSize(t *testing.T) {
	const mib = 1 << 20
	a := unconnected(t, "pbx1")
	many := nats.Header{"Ami-Requester": {"alice"}}
	for i := range 100_000 {
		many[fmt.Sprint("Ami-", i)] = []string{"x"}
	}
	for name, header := range map[string]nats.Header{
		"many names":        many,
		"many values":       {"Ami-Requester": strings.Split(strings.Repeat("x,", 100_000), ",")},
		"a long value":      {"Ami-Requester": {strings.Repeat("a=", mib/2)}},
		"a long key":        {"Ami-Idempotency-Key": {strings.Repeat("k", mib)}},
		"a long timeout":    {"Ami-Timeout": {strings.Repeat("1s", mib/2)}},
		"a long name":       {"Ami-" + strings.Repeat("x", mib): {"x"}},
		"what is not heard": {strings.Repeat("X", mib): {strings.Repeat("x", mib)}},
		"request info":      {"Nats-Request-Info": {`{"acc":` + strings.Repeat("[", mib) + strings.Repeat("]", mib) + `}`}},
	} {
		m := requestFor("pbx1", "Ping", "")
		m.Header = header
		if got := costtest.Bytes(func() { a.to(m) }); got > 2*mib {
			t.Errorf("%s allocate %d", name, got)
		}
	}
}

// A request to all is read once, and its text is not copied for each server.
func TestRequests_OneForAllServersIsReadOnce(t *testing.T) {
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprint("pbx", i))
	}
	a := unconnected(t, names...)
	m := requestFor("all", "X", `{`+members(120, `"V#":"`+strings.Repeat("x", 1000)+`"`)+`}`)
	if got := costtest.Bytes(func() { a.to(m) }); got > len(names)*32<<10+2<<20 {
		t.Errorf("%d bytes for %d servers allocate %d", len(m.Data), len(names), got)
	}
}
