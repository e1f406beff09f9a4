package reply

import (
	"strings"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// deniedFor is for how long a denial counts: NATS says so of each reply that it does not take, and
// of one that it takes nothing.
const deniedFor = time.Minute

// denials are the replies that NATS did not let the bridge publish. It says so beside them.
type denials struct {
	mu    sync.Mutex // protects the following
	count uint64
	last  error
	at    time.Time
}

// take hears an error of the connection that nobody waits for.
func (d *denials) take(err error, now time.Time) {
	subject, publish, denied := natsconn.Denial(err)
	if !publish || !IsInbox(subject) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	d.last, d.at = denied, now
}

// Denied returns how many replies NATS did not let the bridge publish.
func (r *Sender) Denied() uint64 {
	r.denied.mu.Lock()
	defer r.denied.mu.Unlock()
	return r.denied.count
}

// WhyDenied returns why NATS did not take the last of them, nil if that was not within the last minute.
func (r *Sender) WhyDenied(now time.Time) error {
	r.denied.mu.Lock()
	defer r.denied.mu.Unlock()
	if now.Sub(r.denied.at) > deniedFor {
		return nil
	}
	return r.denied.last
}

// IsInbox reports whether subject is an inbox: _INBOX.… or a caller's own prefix
// such as _INBOX_dialer.…, but not that of a bridge, where acknowledgements arrive;
// or _R_.…, behind which nats-server hides that of a caller in another account. What nobody can
// publish on is none: its reply would be lost once the Action was done.
func IsInbox(subject string) bool {
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || token == "*" || token == ">" {
			return false
		}
	}
	prefix, _, ok := strings.Cut(subject, ".")
	return ok && (prefix == "_INBOX" || prefix == "_R_" || strings.HasPrefix(prefix, "_INBOX_")) && !strings.HasPrefix(prefix, natsconn.InboxPrefix(""))
}
