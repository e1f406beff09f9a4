package actions

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A request that is refused counts once: at its server, whatever endpoint it came by, or for
// all if it had none. Nothing of what a caller wrote is kept.
func TestRefusals_OfAServerAndOfNone(t *testing.T) {
	a := askingOf(t, nil)
	a.answered(requestFor("pbx1", "CoreStatus", ""))
	for _, to := range []string{"pbx1", "all", "any"} {
		a.answered(requestFor(to, "Login", ""))
	}
	for _, to := range []string{"pbx1", "any"} {
		a.answered(requestFor(to, "Sesame-4711", "no JSON"))
	}
	for of, test := range map[string]struct {
		got, want Refusals
	}{
		"the server": {a.targets[0].Refused(), Refusals{Kinds: map[string]uint64{"forbidden": 2, "bad_request": 1}}},
		"none":       {a.Refused(), Refusals{Kinds: map[string]uint64{"forbidden": 1, "bad_request": 1}}},
	} {
		if diff := cmp.Diff(test.want.Kinds, test.got.Kinds); diff != "" {
			t.Errorf("%s (-want +got):\n%s", of, diff)
		}
		if last := test.got.Last; last == nil || last.Action != "_unknown" || last.Kind != "bad_request" || last.At.IsZero() {
			t.Errorf("%s: the last is %+v", of, last)
		}
	}
}
