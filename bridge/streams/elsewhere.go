package streams

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// elsewhere is another stream of events, in another JetStream domain.
type elsewhere struct {
	domain string
	at     time.Time // when it was last known to have stored an event; zero: there is none
}

// Domain is the JetStream domain that the streams are looked at in, nil while that is not known.
func (k *Reconciler) Domain() *string { return k.domain.Load() }

// StoredIn observes that a stream called AMI_EVENTS in that other domain has stored an event too.
func (k *Reconciler) StoredIn(domain string) {
	k.mu.Lock()
	known := time.Since(k.elsewhere.at) < reportedFor
	k.elsewhere = elsewhere{domain, time.Now()}
	k.mu.Unlock()
	if !known {
		k.recheck()
	}
}

// nameElsewhere adds to what differs of want, the stream of events, that another has its subjects as well.
func (k *Reconciler) nameElsewhere(is, want jetstream.StreamConfig, diffs []Difference) []Difference {
	k.mu.Lock()
	defer k.mu.Unlock()
	if want.Name != EventStream || time.Since(k.elsewhere.at) >= reportedFor {
		return diffs
	}
	where := "without a JetStream domain"
	if k.elsewhere.domain != "" {
		where = fmt.Sprintf("of the JetStream domain %.40q", k.elsewhere.domain)
	}
	return append(diffs, Difference{
		Field: "subjects", Have: strings.Join(is.Subjects, ","), Want: strings.Join(want.Subjects, ","),
		Left:   fmt.Sprintf("another stream %s, %s, has them too, through a leaf node: take them from one of the two", EventStream, where),
		Breaks: "what one of them stored counts as stored, and the other may lack it", Loses: true,
	})
}
