package top

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// Visible returns the servers that ui lets through: ill ones first, the worst at the
// top, whatever the others are sorted by.
func Visible(snap *view.Snapshot, ui *UI) []*view.Server {
	var all []*view.Server
	for i := range snap.Servers {
		s := &snap.Servers[i]
		if (!ui.IllOnly || s.State.Ill()) && matches(s, ui.Filter) {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b *view.Server) int {
		if a.State.Ill() || b.State.Ill() || ui.Sort == SortName && !ui.Turned {
			return boolCompare(b.State.Ill(), a.State.Ill()) // as the snapshot has them
		}
		c := ui.Sort.compare(a, b)
		if ui.Turned {
			c = -c
		}
		return c
	})
	return all
}

// boolCompare sorts false before true.
func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// compare sorts the most first, names from a to z.
func (s Sort) compare(a, b *view.Server) int {
	switch s {
	case SortEvents:
		return cmp.Compare(rate(b), rate(a))
	case SortOutbox:
		return cmp.Compare(outbox(b), outbox(a))
	case SortCalls:
		return cmp.Compare(present(b).Calls, present(a).Calls)
	case SortWaiting:
		return cmp.Compare(present(b).Waiting, present(a).Waiting)
	}
	return cmp.Compare(a.Name, b.Name)
}

func rate(s *view.Server) float64 {
	if s.Rates == nil {
		return -1
	}
	return s.Rates.In
}

func outbox(s *view.Server) float64 {
	if s.Buffers == nil {
		return -1
	}
	return s.Buffers.Outbox.Percent()
}

func present(s *view.Server) view.Present {
	if s.Present == nil {
		return view.Present{Calls: -1, Waiting: -1}
	}
	return *s.Present
}

// matches looks for text in a server's name, state and reason, and in who leads it.
func matches(s *view.Server, text string) bool {
	if text == "" {
		return true
	}
	text = strings.ToLower(text)
	for _, in := range []string{s.Name, s.Word, string(s.State), s.Reason, s.Why, s.HA.Who()} {
		if strings.Contains(strings.ToLower(in), text) {
			return true
		}
	}
	return false
}

// matches says how many servers the filter lets through, and which ill ones it does not.
func (a *painter) matches() (hidden string, n int) {
	ill := 0
	for i := range a.snap.Servers {
		switch s := &a.snap.Servers[i]; {
		case matches(s, a.ui.Filter):
			n++
		case s.State.Ill():
			ill++
		}
	}
	switch ill {
	case 0:
		return "", n
	case 1:
		return ", 1 ill does not", n
	}
	return ", " + number(ill) + " ill do not", n
}
