package subject

import (
	"fmt"
	"testing"
)

// Names are remembered up to a bound, and those that are not have their subject all
// the same.
func TestSubjects_RememberSoManyNames(t *testing.T) {
	s := New("ami", "pbx1")
	for i := range 2 * MaxNames {
		name := fmt.Sprintf("Event%d", i)
		if got, want := s.Event([]byte(name)), "ami.events.pbx1."+name; got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	if n := len(s.events); n != MaxNames {
		t.Errorf("%d subjects are remembered", n)
	}
	if got := s.Event([]byte("What is this?")); got != "ami.events.pbx1.What_is_this_" {
		t.Errorf("%q is no token of a subject", got)
	}
}
