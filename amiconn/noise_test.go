package amiconn

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// told are the lines that an operator reads since the last call.
func (b *bench) told() (lines []string) {
	for _, entry := range b.logs.TakeAll() {
		if entry.Level < zapcore.InfoLevel {
			continue
		}
		fields := entry.ContextMap()
		lines = append(lines, fmt.Sprint(entry.Message, " ", fields["role"], " ", fields["reason"]))
	}
	return lines
}

func (b *bench) changed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.changes)
}

// An hour in which a server is down, or comes up and falls at once, costs a few
// lines, and its end as many. What comes back is told at once, or once it lasts.
func TestLog_AnHourTellsWhatIsNew(t *testing.T) {
	for name, test := range map[string]struct {
		hour        func(*bench, *outage)
		most, least int // lines of the hour
	}{
		"down": {func(b *bench, o *outage) {
			o.away.Store(true)
			b.sim.Kick()
			time.Sleep(time.Hour)
			o.away.Store(false)
		}, 4, 4}, // two lost, one refused, the breaker
		"down in two ways": {func(b *bench, o *outage) {
			o.away.Store(true)
			b.sim.Kick()
			time.Sleep(time.Hour / 2)
			o.away.Store(false)
			b.sim.Always(amisim.Accept, amisim.Say("SSH-2.0-x\r\n"))
			time.Sleep(time.Hour / 2)
			b.sim.Always(amisim.Accept, nil)
		}, 6, 6}, // and another reason, of the session and of the breaker
		"flaps": {func(b *bench, _ *outage) {
			for range 1200 {
				b.sim.Kick()
				time.Sleep(3 * time.Second)
			}
		}, 20, 8},
		"flaps slowly": {func(b *bench, _ *outage) {
			for range 200 {
				b.sim.Kick()
				time.Sleep(18 * time.Second)
			}
		}, 20, 8},
	} {
		t.Run(name, func(t *testing.T) {
			var o outage
			inBubble(t, amisim.Config{}, func(_ *Config, d *Deps) { o.put(d) }, func(b *bench) {
				b.up()
				time.Sleep(time.Minute)
				b.told()
				before := b.changed()
				test.hour(b, &o)
				lines, changes := b.told(), b.changed()-before
				t.Logf("%d lines of %d changes", len(lines), changes)
				if len(lines) > test.most || len(lines) < test.least || changes < 200 {
					t.Errorf("%d lines of %d changes, want %d to %d: %q", len(lines), changes, test.least, test.most, lines)
				}
				b.up()
				time.Sleep(lasting + time.Minute)
				synctest.Wait()
				up := map[string]int{}
				for _, line := range b.told() {
					up[line]++
				}
				if up["session up event <nil>"] != 1 || up["session up action <nil>"] != 1 {
					t.Errorf("its end: %v", up)
				}
				// What comes next is news again.
				b.sim.Kick()
				time.Sleep(time.Second)
				if lines := b.told(); len(lines) < 4 {
					t.Errorf("the next loss: %q", lines)
				}
			})
		})
	}
}
