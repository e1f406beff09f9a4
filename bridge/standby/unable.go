package standby

import "time"

// Unable is what a bridge knows that it cannot do of what a leader does; empty: nothing.
// Any other value is one of a newer version, and taken for NoActions.
type Unable string

const (
	Mute      Unable = "publish" // events: its connection for them is gone, or nothing is stored of what it sends
	Deaf      Unable = "read"    // its session brings nothing, while one's that stands by does
	NoActions Unable = "act"     // no session for Actions is up
)

const (
	// mutePatience is how long one that is mute goes on to lead while nobody is in sync:
	// who takes over then begins an epoch. As long it leads on while the stream is slow for
	// who would take over too: each claim makes it slower.
	mutePatience = 30 * time.Second
	// mutePause is how much longer one that is mute waits until it claims what others may.
	mutePause = 5 * time.Second
	// slowStore is how long one that is mute goes on to lead while events of other servers
	// are stored: the stream may come to this one's.
	slowStore = 10 * time.Second
	// keptPause is how long one leads on that nobody has followed. Before it gives the lead again to whom
	// that belongs it is twice as long each time, up to mostKeeps times.
	keptPause = 10 * time.Second
	mostKeeps = 5
)

// worse returns how much it cannot do.
func (u Unable) worse() int {
	switch u {
	case "":
		return 0
	case Mute, Deaf:
		return 2
	}
	return 1
}

// onUnable yields to one that is in sync and can do more, and leaves the lead to whoever
// can publish at all if none is for long. Whoever leads is asked for a while before it
// yields: connections come again.
func (l *Leading) onUnable(now time.Time, v View) {
	better := v.Successor != "" && v.HeirUnable.worse() < v.Unable.worse()
	patience := l.silence
	switch {
	case v.Unable == Deaf && v.HeirUnable == Mute && v.HeirSync:
		// That it stores nothing it knows of a time before, for minutes maybe: only to lead shows
		// more. Whoever is deaf has nothing to lose.
		better, patience = true, mutePatience
	case v.Unable != Mute:
	case v.HeirNoBetter:
		patience = mutePatience
	case v.OthersStored:
		patience = slowStore
	}
	switch since := now.Sub(l.unable); {
	case v.Unable == "":
		l.unable = time.Time{}
	case l.unable.IsZero():
		l.unable = now
	case !better || !l.Publishes() || since < patience || now.Sub(l.kept) < keptPause:
	case v.HeirSync:
		l.drain(now, v.Successor)
		if v.Unable == Mute { // nobody would tell that what is in flight is stored
			l.yield(now, true)
		}
	case v.Unable == Mute && since >= mutePatience:
		l.drain(now, "")
	}
}

// NoBetter reports whether node is mute with at least half as large a share of what it leads as
// this bridge is. Then it is rather the stream that is slow, and to claim makes it slower. One
// that leads nothing may be better.
func (r *Roster) NoBetter(node string) bool {
	m, me := r.members[node], r.members[r.self]
	if m == nil || len(m.Leads) == 0 || len(me.Leads) == 0 {
		return false
	}
	return m.mute > 0 && 2*m.mute*len(me.Leads) >= me.mute*len(m.Leads)
}

// Oldest returns how old the oldest event is that node holds of the server, which it stands
// by for in sync, when it was heard last; 0 if it holds none.
func (r *Roster) Oldest(server, node string) time.Duration {
	if s := r.stands(server, node); s.isInSync() {
		return time.Duration(s.OldestMS) * time.Millisecond
	}
	return 0
}

// Unable returns what that node has said it cannot do of the server, which it stands by for.
func (r *Roster) Unable(server, node string) Unable {
	if s := r.stands(server, node); s != nil {
		return s.Unable
	}
	return ""
}
