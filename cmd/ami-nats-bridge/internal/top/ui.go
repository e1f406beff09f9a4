package top

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// Page is what the screen shows.
type Page uint8

// The pages.
const (
	PageServers Page = iota
	PageServer       // one server
	PageCalls        // its calls
	PageGaps         // its gaps
	PageEvents       // its events, as they come
	PageFloor        // queues and agents
	PageKeys
)

// Times is how times are shown.
type Times uint8

// The ways of a time: as the clock has it, how long ago, and in UTC.
const (
	TimesClock Times = iota
	TimesAge
	TimesUTC
)

// UI is what the user has chosen, and where the picture comes from.
type UI struct {
	Page     Page
	Selected string // the server that is chosen
	Queue    int    // the queue that is chosen on the floor
	Filter   string // a text in name, state or reason
	Typing   bool   // the filter is being typed
	// EventFilter is which events are shown: names and globs, as tail takes them.
	EventFilter string
	IllOnly     bool
	Sort        Sort
	Turned      bool // sorted the other way round
	Paused      bool
	Agents      bool // the floor: agents only
	Callers     bool // the floor: the callers of the queue in place of agents
	Scroll      int  // of a long page
	Times       Times
	Note        string // said once on the line of keys

	// Now is the time of the clock; that of the picture, if it is zero.
	Now     time.Time
	Source  Source
	Events  Tapped      // of the server that is chosen
	Calls   []view.Call // of the server that is chosen
	CallsOf int
}

// Source is where the picture comes from.
type Source struct {
	NATS, HTTP string // their addresses
	// ByHTTP says that NATS does not answer, and the bridge itself has been asked.
	ByHTTP bool
	// Asking says that nothing has answered yet, since it was begun.
	Asking bool
	// Silent is since when nothing answers; the picture is as it was then.
	Silent           time.Time
	NATSErr, HTTPErr string
	// Unread says why what bridges said before could not be read, where NATS keeps it: of one that is gone nothing is known.
	Unread string
}

// Note says what the picture may lack; nothing if it lacks nothing.
func (s *Source) Note() string {
	if s.Unread == "" {
		return ""
	}
	return "A server whose bridge is gone may be missing: what was said before cannot be read: " + s.Unread
}

// Sort is by what the well servers are sorted; ill ones are always first, the worst at
// the top.
type Sort uint8

// What servers can be sorted by.
const (
	SortName Sort = iota
	SortEvents
	SortOutbox
	SortCalls
	SortWaiting
	sorts
)

var sortNames = [...]string{"name", "events/s", "outbox", "calls", "waiting"}

func (s Sort) String() string { return sortNames[s%sorts] }
