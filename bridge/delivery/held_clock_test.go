package delivery

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

// The clock of the bridge that stored the last event may be ahead: then it is known by when the
// stream had it, so that a Gap behind it begins there and not minutes later.
func TestReadSince_AClockThatIsAhead(t *testing.T) {
	b, _, _, js := sharedBench(t, "pbx1")
	for ahead, span := range map[time.Duration]time.Duration{5 * time.Minute: time.Hour, 6 * time.Minute: 0, -5 * time.Minute: time.Hour, -6 * time.Minute: 0} {
		m, before := nats.NewMsg("ami.events.pbx1.Test"), time.Now()
		m.Header.Set("Ami-Time", clock.Stamp(before.Add(ahead)))
		m.Header.Set("Nats-Msg-Id", ahead.String())
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		held, err := ReadSince(t.Context(), b.control, "ami.events.pbx1.>", time.Now(), span)
		if err != nil {
			t.Fatal(err)
		}
		if from, to := before.Add(min(ahead, 0)-time.Second), time.Now().Add(min(ahead, 0)); held.At.Before(from) || held.At.After(to) {
			t.Errorf("a clock is ahead by %v: the last event is of %v, want %v to %v", ahead, held.At, from, to)
		}
	}
}
