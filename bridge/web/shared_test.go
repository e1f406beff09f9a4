package web

import (
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// sharedOut is twelve servers that bridges share, one of which is down.
func sharedOut() *world {
	w := allWell()
	w.lose("pbx-muc-02", "dial", "dial tcp 10.20.4.12:5038: connect: connection refused", 0)
	for _, name := range twelve {
		w.tell("ami.status."+name+".ha", fields{"leader": "b1", "term": 3, "since": stamp(start), "reason": "start", "standbys": []fields{{"node": "b2", "state": "in_sync"}, {"node": "b3", "state": "apart", "reason": "differs"}}})
	}
	return w
}

// The page says who leads each server and who stands by, what was refused and what a bridge
// has lost, in the words of package view; where no bridges share servers there is no such
// column.
func TestPage_WhoLeadsAndWhatWasRefused(t *testing.T) {
	t.Parallel()
	w := sharedOut()
	snap := w.snapshot(view.NumbersNone)
	page := textOf(get(t, served(w, nil), "/").Body.String())
	for _, want := range []string{"Leads", "b1 leads, b2 in sync, b3 apart: differs.", "Stored/s", "Refused", "Actions refused 41"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q: %s", want, page)
		}
	}
	if n := strings.Count(page, "b1 leads, b2 in sync, b3 apart: differs"); n != len(twelve) {
		t.Errorf("it says %d times who leads", n)
	}
	for i := range snap.Servers {
		s := &snap.Servers[i]
		said := textOf(get(t, served(w, nil), "/?server="+s.Name).Body.String())
		if want := s.Refused.Text(snap.At.Time); want == "" || !strings.Contains(said, want) {
			t.Errorf("the page of %s does not say %q: %s", s.Name, want, said)
		}
	}
	if page := textOf(get(t, served(allWell(), nil), "/").Body.String()); strings.Contains(page, "Leads") {
		t.Errorf("with one bridge it says who leads: %s", page)
	}
}
