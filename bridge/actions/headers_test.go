package actions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// One header of a name is taken, however it is spelled; of two none, whatever
// order a map has. What is wrong is said in the same words each time.
func TestOptions_AHeaderIsThereOnce(t *testing.T) {
	for name, test := range map[string]struct {
		header nats.Header
		want   string // of the error, or none
	}{
		"as documented":       {nats.Header{"Ami-Timeout": {"1s"}, "Ami-Requester": {"alice"}}, ""},
		"in another spelling": {nats.Header{"ami-timeout": {"1s"}, "AMI-REQUESTER": {"alice"}}, ""},
		"two spellings":       {nats.Header{"Ami-Timeout": {"1s"}, "ami-timeout": {"9s"}}, `the header "ami-timeout" is there more than once`},
		"two that agree":      {nats.Header{"Ami-Timeout": {"1s"}, "AMI-Timeout": {"1s"}}, `the header "Ami-Timeout" is there more than once`},
		"two requesters":      {nats.Header{"Ami-Requester": {"alice"}, "ami-requester": {"bob"}}, `the header "ami-requester" is there more than once`},
		"two values":          {nats.Header{"Ami-Requester": {"alice", "bob"}}, `the header "Ami-Requester" is there more than once`},
		"letters beyond ASCII": {nats.Header{"Ami-Idempotency-Key": {"1"}, "Ami-Idempotency-\u212aey": {"2"}},
			`the header "Ami-Idempotency-` + "\u212a" + `ey" is there more than once`},
		"two that are wrong": {nats.Header{"Ami-A": {"1"}, "Ami-B": {"1"}}, `"Ami-A" is not a header`},
		"one of each": {nats.Header{"Ami-Wait": {"no"}, "Ami-Reply": {"no"}, "Ami-Timeout": {"no"}, "Ami-Validate": {"no"}},
			"Ami-Reply wants stream"},
		"too many": {func() nats.Header {
			h := nats.Header{"ami-Requester": {"alice"}}
			for i := range 100 {
				h[fmt.Sprint("Ami-", i)] = []string{"1"}
			}
			return h
		}(), "32 or more headers begin with Ami-"},
	} {
		for range 20 { // a map has another order each time
			err := new(options).read(test.header)
			if got := fmt.Sprint(err); !strings.HasPrefix(got, test.want) || (err == nil) != (test.want == "") {
				t.Fatalf("%s: %v, want %s", name, err, test.want)
			}
		}
	}
}

// Each header takes what the page says, and nothing beyond: what is mistyped must
// not be taken for something else.
func TestOptions_TakeWhatThePageSays(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct{ name, value, want string }{
		{"Ami-Timeout", "10s", ""}, {"Ami-Timeout", "1ns", ""}, {"Ami-Timeout", "1h30m", ""},
		{"Ami-Timeout", "0s", "Ami-Timeout wants a positive"}, {"Ami-Timeout", "-1s", "Ami-Timeout wants"}, {"Ami-Timeout", "10", "Ami-Timeout wants"}, {"Ami-Timeout", "", "Ami-Timeout wants"},
		{"Ami-Wait", "complete", ""}, {"Ami-Wait", "Complete", "Ami-Wait wants complete"}, {"Ami-Wait", "", "Ami-Wait wants complete"},
		{"Ami-Reply", "stream", ""}, {"Ami-Reply", "STREAM", "Ami-Reply wants stream"},
		{"Ami-Validate", "strict", ""}, {"Ami-Validate", "loose", "Ami-Validate wants strict"}, {"Ami-Validate", "Strict", "Ami-Validate wants strict"},
		{"Ami-Requester", x(256), ""}, {"Ami-Requester", "", ""}, {"Ami-Requester", x(257), "Ami-Requester wants at most 256 bytes"},
		{"Ami-Idempotency-Key", x(1), ""}, {"Ami-Idempotency-Key", x(128), ""},
		{"Ami-Idempotency-Key", "", "Ami-Idempotency-Key wants 1 to 128"}, {"Ami-Idempotency-Key", x(129), "Ami-Idempotency-Key wants 1 to 128"},
		{"Ami-Group", "sales", ""}, {"Ami-Group", x(32), ""}, {"Ami-Group", x(33), "Ami-Group: "}, {"Ami-Group", "", "Ami-Group: "}, {"Ami-Group", "a b", "Ami-Group: "},
		{"Ami-Idempotenty-Key", "k", `"Ami-Idempotenty-Key" is not a header of a request`}, {"AMI-", "k", `"AMI-" is not a header of a request`},
		{"Am-Timeout", "x", ""}, {"X-Ami-Timeout", "x", ""},
	} {
		for _, name := range []string{test.name, strings.ToLower(test.name)} {
			if test.want != "" && strings.HasPrefix(test.want, `"`) && name != test.name {
				continue // the name is said as it was written
			}
			err := new(options).read(nats.Header{name: {test.value}})
			said := strings.EqualFold(fmt.Sprint(err)[:min(len(fmt.Sprint(err)), len(test.want))], test.want)
			if (err == nil) != (test.want == "") || test.want != "" && !said {
				t.Errorf("%s: %.40q: %v, want %s", name, test.value, err, test.want)
			}
		}
	}
}

// A stream is not remembered, so it has no key.
func TestOptions_AStreamHasNoKey(t *testing.T) {
	err := new(options).read(nats.Header{"Ami-Reply": {"stream"}, "Ami-Idempotency-Key": {"k"}})
	if err == nil || !strings.Contains(err.Error(), "exclude each other") {
		t.Error(err)
	}
}

// The limit is of headers that begin with Ami-: 31 are looked at, whatever else
// there is.
func TestOptions_SoManyAreLookedAt(t *testing.T) {
	h := nats.Header{}
	for i := range 100 {
		h[fmt.Sprint("X-", i)] = []string{"1"}
	}
	for i := range 31 {
		h[fmt.Sprintf("Ami-%02d", i)] = []string{"1"}
	}
	if err := new(options).read(h); err == nil || !strings.HasPrefix(err.Error(), `"Ami-00" is not a header`) {
		t.Error(err)
	}
	h["Ami-31"] = []string{"1"}
	if err := new(options).read(h); err == nil || !strings.HasPrefix(err.Error(), "32 or more") {
		t.Error(err)
	}
}
