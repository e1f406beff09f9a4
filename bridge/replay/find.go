package replay

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Found is a call in which a number or a channel was found.
type Found struct {
	Server   string    `json:"server"`
	Linkedid string    `json:"linkedid"`
	Began    time.Time `json:"began"`
	Caller   string    `json:"caller,omitempty"`
	Called   string    `json:"called,omitempty"` // the extension, or who was dialled
	// Lasted is until the last Hangup in seconds, 0 while it is up.
	Lasted float64 `json:"lasted,omitempty"`
	Cause  string  `json:"cause,omitempty"` // of the last Hangup
	// Channels is how many it had.
	Channels int `json:"channels"`

	up      int
	matched bool
}

// findIn are the events by which a call is found: they name who calls whom.
var findIn = []string{"Newchannel", "NewCallerid", "NewConnectedLine", "DialBegin", "Dial", "QueueCallerJoin", "Join", "Hangup"}

// maxFound bounds what Find remembers of calls that match.
const maxFound = 10_000

// Find returns the calls of a selection in which what, a number or a channel,
// calls or is called, in the order in which they began. A number is found in each
// of its forms: +49 30 1234, 0049301234, 0301234. A channel is found by its name
// with or without what Asterisk adds: PJSIP/alice, PJSIP/alice-00000042. In the Gaps
// there may be others, or the end of one.
func (s *Source) Find(ctx context.Context, sel Selection, what string, onProgress func(Progress)) ([]*Found, Gaps, error) {
	sel.Names = append(slices.Clone(findIn), "Gap")
	f := finder{wanted: wantedIn(what), calls: make(map[[2]string]*Found)}
	err := s.Read(ctx, sel, ReadAt, onProgress, func(m *Message) error {
		e := sel.EventOf(m)
		if e.IsGap() {
			f.gaps.Add(&e)
			return nil
		}
		return f.see(&e)
	})
	return f.found(), f.gaps, err
}

// finder knows the calls that match, and those that are up and may.
type finder struct {
	wanted  wanted
	calls   map[[2]string]*Found // by server and Linkedid
	matched int
	gaps    Gaps
}

// see takes the next event.
func (f *finder) see(e *Event) error {
	fields := Fields(e.Data)
	id := or(named(fields, "Linkedid"), named(fields, "Uniqueid"))
	matches := f.wanted.in(fields)
	key := [2]string{e.Server, id}
	call := f.calls[key]
	if call == nil {
		if id == "" || e.Name == "Hangup" && !matches {
			return nil
		}
		call = &Found{Server: e.Server, Linkedid: id, Began: e.Read}
		f.calls[key] = call
	}
	call.take(e, fields)
	if matches && !call.matched {
		call.matched = true
		if f.matched++; f.matched > maxFound {
			return fmt.Errorf("over %d calls: narrow it with --server, --from and --to", maxFound)
		}
	}
	if call.up <= 0 && !call.matched && e.Name == "Hangup" {
		delete(f.calls, key)
	}
	return nil
}

// found are the calls that match, in the order in which they began.
func (f *finder) found() []*Found {
	maps.DeleteFunc(f.calls, func(_ [2]string, call *Found) bool { return !call.matched })
	all := slices.Collect(maps.Values(f.calls))
	slices.SortFunc(all, func(a, b *Found) int {
		return cmp.Or(a.Began.Compare(b.Began), strings.Compare(a.Linkedid, b.Linkedid))
	})
	return all
}

// take notes what e, an event of the call with these fields, says of it.
func (f *Found) take(e *Event, fields []Field) {
	switch e.Name {
	case "Newchannel":
		f.up++
		f.Channels++
		f.Lasted, f.Cause = 0, ""
	case "Hangup":
		if f.up--; f.up <= 0 {
			f.Lasted, f.Cause = e.Read.Sub(f.Began).Seconds(), named(fields, "Cause-txt")
		}
	}
	if named(fields, "Uniqueid") != f.Linkedid { // what its first channel says is the call's
		return
	}
	f.Caller = or(f.Caller, named(fields, "CallerIDNum"))
	f.Called = or(f.Called, named(fields, "Exten"), named(fields, "DestCallerIDNum"), named(fields, "DestChannel"))
}

// or is the first text that says something. Asterisk has <unknown> for a number that
// it does not know, and s for an extension that nobody dialled.
func or(texts ...string) string {
	for _, t := range texts {
		if t != "" && t != "<unknown>" && t != "s" {
			return t
		}
	}
	return ""
}

// named is the value of the header of that name, "" without.
func named(fields []Field, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return first(f)
		}
	}
	return ""
}
