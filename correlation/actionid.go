package correlation

import (
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxActionID is the longest ActionID in bytes that every handler of
	// Asterisk echoes whole: app_confbridge.c and app_meetme.c build the whole
	// line, "ActionID: " and line end included, in 80 bytes.
	maxActionID = 67
	// sessionLen is the longest session token: 36^9 ms end in the year 5188.
	sessionLen = 9 + 2
	// numberLen and numbers bound the last part. They wrap after a hundred
	// days of a million Actions a second on one session.
	numberLen = 13
	numbers   = 10_000_000_000_000
	// hashLen is how much of a hash of its name tells shortened nodes apart.
	hashLen = 5
	base    = 36
)

// IDs mints ActionIDs that name node, server, session and number, at most 67
// bytes of [A-Za-z0-9._-]. It is safe for concurrent use.
type IDs struct {
	prefix string // "<node>.<server>."
	last   atomic.Int64
}

// NewIDs returns the IDs of one server at one node. A node that leaves no room
// for the rest is shortened, with a part of its hash in place of its end; node
// is of [A-Za-z0-9_-], server too and at most 32 bytes.
func NewIDs(node, server string) *IDs {
	room := maxActionID - len("...") - len(server) - sessionLen - numberLen
	return &IDs{prefix: shorten(node, room) + "." + server + "."}
}

// Session mints the token of one session: the time in milliseconds, later than
// any before it even if the clock was set back, and two random characters that
// tell two processes apart which started at once. A token sorts after those
// before it.
func (i *IDs) Session() string { return i.session(time.Now()) }

func (i *IDs) session(now time.Time) string {
	for {
		last := i.last.Load()
		ms := max(now.UnixMilli(), last+1)
		if i.last.CompareAndSwap(last, ms) {
			return strconv.FormatInt(ms, base) + digits(rand.Uint64(), 2)
		}
	}
}

// ActionID returns the ActionID of the n-th Action on session.
func (i *IDs) ActionID(session string, n uint64) string {
	return i.prefix + session + "." + strconv.FormatUint(n%numbers, 10)
}

func shorten(node string, room int) string {
	if len(node) <= room {
		return node
	}
	h := fnv.New64a()
	h.Write([]byte(node))
	return node[:room-hashLen-1] + "-" + digits(h.Sum64(), hashLen)
}

// digits returns the last n digits of x.
func digits(x uint64, n int) string {
	s := strings.Repeat("0", n) + strconv.FormatUint(x, base)
	return s[len(s)-n:]
}
