package catalog

import (
	"slices"
	"strings"
	"testing"
)

func TestCheck_TakesWhatIsKnown(t *testing.T) {
	for action, headers := range map[string]string{
		"Originate":    "Channel Exten Context Priority CallerID Variable Variable ActionID EarlyMedia PreDialGoSub",
		"originate":    "CHANNEL callerid actionid",
		"Ping":         "ActionID Action",
		"UpdateConfig": "SrcFilename Action-000000 Cat-000001 value-999999",
		"AOCMessage":   "Channel UnitAmount(0) UnitType(7) unitamount(31)",
		"UserEvent":    "UserEvent Anything At-All",
		"PJSIPNotify":  "Endpoint Variable Variable",
		"Park":         "Channel Channel2 ParkingSpace",
		"Frobnicate":   "Anything",
		"QueueStatus":  "",
	} {
		if err := Check(action, strings.Fields(headers)); err != nil {
			t.Errorf("%s: %v", action, err)
		}
	}
}

func TestCheck_SuggestsTheRightHeader(t *testing.T) {
	for _, c := range []struct{ action, headers, want string }{
		{"Originate", "Chanel", "Chanel is not a header of Originate: did you mean Channel?"},
		{"originate", "Channel exntension", "exntension is not a header of Originate: did you mean Exten?"},
		{"QueueAdd", "Que Queue Interface Intreface Que", "Que is not a header of QueueAdd: did you mean Queue?; " +
			"Intreface is not a header of QueueAdd: did you mean Interface?"},
		{"Ping", "Channel", "Channel is not a header of Ping, which takes none"},
		// Asterisk looks for six digits.
		{"UpdateConfig", "Action-1", "Action-1 is not a header of UpdateConfig: did you mean Action-000000?"},
		{"AOCMessage", "UnitAmuont(3)", "UnitAmuont(3) is not a header of AOCMessage: did you mean UnitAmount(0)?"},
		{"Bridge", "Channel3", "Channel3 is not a header of Bridge: did you mean Channel1?"},
		{"Getvar", "Variables", "Variables is not a header of Getvar: did you mean Variable?"},
		{"DBGet", strings.Repeat("K", 1000), strings.Repeat("K", 64) + " is not a header of DBGet: did you mean Key?"},
	} {
		err := Check(c.action, strings.Fields(c.headers))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s with %.80s: %v, want %s", c.action, c.headers, err, c.want)
		}
	}
}

// Every header of the table is taken, by itself and in any case.
func TestCheck_TakesItsOwnTable(t *testing.T) {
	for _, r := range rows() {
		for _, h := range r.headers {
			if err := Check(r.action, []string{h, strings.ToUpper(h)}); err != nil {
				t.Error(err)
			}
		}
		if err := Check(r.action, []string{"Chanel"}); (err == nil) != slices.Contains(r.headers, "*") {
			t.Errorf("%s with Chanel: %v", r.action, err)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct{ name, candidates, want string }{
		{"chanel", "Timeout Channel Exten", "Channel"},
		{"Channel3", "Channel2 Channel1", "Channel2"},
		{"", "Abc D", "D"},
		{"kitten", "sitting kitchen", "kitchen"},
		{"anything", "", ""},
		// What is past maxCompared does not count.
		{strings.Repeat("a", 64) + strings.Repeat("b", 100), "aaaa " + strings.Repeat("b", 100), "aaaa"},
	} {
		if got := Nearest(c.name, strings.Fields(c.candidates)); got != c.want {
			t.Errorf("nearest to %q of %s is %q, want %q", c.name, c.candidates, got, c.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"abc", "acb", 2}, {"same", "same", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q takes %d edits, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	for action, want := range map[string]string{
		"QueueStatus": "Queue Member", "queuestatus": "Queue Member", "Ping": "", "Odd": "", "UserEvent": "",
	} {
		if got := strings.Join(Headers(action), " "); got != want {
			t.Errorf("%s takes %q, want %q", action, got, want)
		}
	}
}
