package harness

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// Attempt is a line of bridge/actions/testdata/policy: its own test holds the policy
// alone against the same requests.
type Attempt struct {
	Kind, Action, Rule, Works string
	Body                      json.RawMessage
	Mark                      string `json:"-"` // the name of a file that it would make
}

// ReadAttempts reads the file name of that folder. inside is the folder of the
// Asterisk that is attacked, as Asterisk knows it.
func ReadAttempts(t *testing.T, name, inside string) (all []Attempt) {
	t.Helper()
	n := 0
	for line := range strings.Lines(ReadText(t, Root(t), "bridge/actions/testdata/policy", name)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		n++
		// Asterisk takes dashes out of an extension's name, of which an attack makes one.
		mark := "mark_" + strconv.Itoa(n) + "_"
		var a Attempt
		if err := json.Unmarshal([]byte(strings.ReplaceAll(line, "{MARK}", inside+"/spool/"+mark)), &a); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		a.Mark = mark
		all = append(all, a)
	}
	return all
}
