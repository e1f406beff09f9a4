package view

import (
	"strings"
	"time"
)

// Headline is the verdict on all servers: what is to be understood within a second.
type Headline struct {
	// State is that of the worst server; Down while NATS is.
	State State  `json:"state"`
	Text  string `json:"text"`
	More  string `json:"more"`
}

func headline(snap *Snapshot, now time.Time) Headline {
	t := snap.Totals
	switch {
	case t.Servers == 0:
		return Headline{StateUnknown, "No server is known", "No bridge has told of one yet."}
	case !snap.NATS.Up:
		return natsHeadline(snap, now)
	case t.Ill > 0:
		return Headline{snap.Servers[0].State, Count(uint64(t.Ill)) + " of " + servers(t.Servers) + plural(t.Ill, " is", " are") + " ill", illMore(snap)}
	case t.Unknown > 0 && apart(snap) == t.Unknown:
		return Headline{StateUnknown, "This bridge has no session of " + Count(uint64(t.Unknown)) + " of " + servers(t.Servers),
			plural(t.Unknown, "Another bridge leads it and knows how it is.", "Other bridges lead them and know how they are.")}
	case t.Unknown == t.Servers:
		return Headline{StateUnknown, "Nothing is known of " + servers(t.Servers), "The bridge, or its NATS, is gone."}
	case t.Unknown > 0:
		return Headline{StateUnknown, Count(uint64(t.Unknown)) + " of " + servers(t.Servers) + plural(t.Unknown, " is", " are") + " not known", "The others are well."}
	}
	h := Headline{StateWell, "All " + servers(t.Servers) + " are well", wellMore(snap, now)}
	if t.Servers == 1 {
		h.Text = snap.Servers[0].Name + " is well"
	}
	if t.Syncing > 0 {
		h.State = StateSyncing
	}
	return h
}

// apart is how many servers are not known because another bridge leads them.
func apart(snap *Snapshot) (n int) {
	for i := range snap.Servers {
		if s := &snap.Servers[i]; s.State == StateUnknown && s.LedElsewhere() {
			n++
		}
	}
	return n
}

// servers is n servers, as it stands behind "of".
func servers(n int) string { return Count(uint64(n)) + plural(n, " server", " servers") }

func natsHeadline(snap *Snapshot, now time.Time) Headline {
	h := Headline{State: StateDown, Text: "NATS is down, nothing is lost yet"}
	lost, sessions := 0, 0
	for i := range snap.Servers {
		if snap.Servers[i].Losing != nil {
			lost++
		}
		if isUp(snap.Servers[i].Sessions) {
			sessions++
		}
	}
	if lost > 0 {
		h.Text = "NATS is down, " + Count(uint64(lost)) + " of " + servers(snap.Totals.Servers) + plural(lost, " loses", " lose") + " events"
	}
	var more []string
	if !snap.NATS.Since.IsZero() {
		more = append(more, "Since "+Moment(snap.NATS.Since, now)+".")
	}
	if sessions == 0 {
		more = append(more, "No Asterisk is connected. The bridge goes on by itself once NATS is back.")
		h.More = strings.Join(more, " ")
		return h
	}
	more = append(more, Count(uint64(sessions))+" of "+Count(uint64(snap.Totals.Servers))+
		plural(snap.Totals.Servers, " Asterisk stays", " Asterisks stay")+" connected, and events wait in memory. Callers of actions get no answer.")
	if !snap.NATS.FirstFull.IsZero() {
		more = append(more, "The first outbox is full at "+Moment(snap.NATS.FirstFull, now)+", that of "+snap.NATS.First+".")
	}
	more = append(more, "Do not restart the bridge: what it holds would be lost.")
	h.More = strings.Join(more, " ")
	return h
}

func isUp(sessions []Session) bool {
	for _, c := range sessions {
		if c.State != up && readsEvents(c.Role) {
			return false
		}
	}
	return len(sessions) > 0
}

// illMore sums the ill servers up by what happens to their events.
func illMore(snap *Snapshot) string {
	var drop, apart, trouble, unknown int
	for i := range snap.Servers {
		switch s := &snap.Servers[i]; {
		case s.State == StateLosing && s.Losing.Events != nil:
			drop++
		case s.Losing != nil:
			apart++
		case s.State.Ill():
			trouble++
		case s.State == StateUnknown:
			unknown++
		}
	}
	var more []string
	for _, part := range []struct {
		n         int
		one, many string
	}{
		{drop, "One drops events.", " drop events."},
		{apart, "One is not connected: its events are lost.", " are not connected: their events are lost."},
		{trouble, "One is in trouble and loses nothing yet.", " are in trouble and lose nothing yet."},
		{unknown, "One is not known.", " are not known."},
	} {
		switch {
		case part.n == 1:
			more = append(more, part.one)
		case part.n > 1:
			more = append(more, counted(part.n)+part.many)
		}
	}
	return strings.Join(more, " ")
}

func wellMore(snap *Snapshot, now time.Time) string {
	var last *Gap
	var whose string
	for i := range snap.Servers {
		if s := &snap.Servers[i]; len(s.Gaps) > 0 && (last == nil || s.Gaps[0].To.After(last.To.Time)) {
			last, whose = &s.Gaps[0], s.Name
		}
	}
	text := "Nothing is being lost."
	if last != nil {
		text += " The last gap ended " + Age(now.Sub(last.To.Time)) + " ago, at " + whose + ": " + last.Reason + "."
	}
	if n := snap.Totals.Syncing; n > 0 {
		text += " " + counted(n) + plural(n, " is syncing.", " are syncing.")
	}
	return text
}
