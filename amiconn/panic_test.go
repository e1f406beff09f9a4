package amiconn

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// The OriginateResponse that ends a call is an event too. Whatever becomes of the
// call, it is handed over.
func TestLink_APanicOfACallLosesNoEvent(t *testing.T) {
	for _, sessions := range []int{1, 2} {
		sim := amisim.Config{Originate: func(*amisim.Action) amisim.Originated { return amisim.Originated{Answer: time.Second} }}
		inBubble(t, sim, func(c *Config, _ *Deps) { c.Sessions = sessions }, func(b *bench) {
			b.up()
			var ended atomic.Int64
			_, err := b.link.Do(Action{
				Name: "Originate", WaitComplete: true, Headers: []frames.Header{
					header("Channel", "Local/1@x"), header("Exten", "1"), header("Context", "x"), header("Priority", "1"), header("Async", "true"),
				},
				Done: func(r *correlation.Result) { r.Release(); ended.Add(1); panic("caller") },
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			b.sim.Emit("Event", "After")
			synctest.Wait()
			b.mu.Lock()
			defer b.mu.Unlock()
			if !slices.Contains(b.events, "OriginateResponse") || !slices.Contains(b.events, "After") || ended.Load() != 1 {
				t.Errorf("%d sessions: events %q, the call ended %d times", sessions, b.events, ended.Load())
			}
			for i, n := range b.seqs {
				if n != uint64(i)+1 {
					t.Fatalf("%d sessions: numbers %v", sessions, b.seqs)
				}
			}
		})
	}
}

// fragile is a connection that panics once in a Read.
type fragile struct {
	net.Conn
	broken *atomic.Bool
}

func (f fragile) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if strings.Contains(string(p[:n]), "Event: Poison") && f.broken.CompareAndSwap(false, true) {
		panic("read")
	}
	return n, err
}

// A reader that panics costs its session, which comes back, and nothing else.
func TestLink_APanicOfTheReaderEndsItsSession(t *testing.T) {
	var broken atomic.Bool
	inBubble(t, amisim.Config{}, func(_ *Config, d *Deps) {
		dial := d.Dial
		d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return fragile{conn, &broken}, err
		}
	}, func(b *bench) {
		b.up()
		b.sim.Emit("Event", "Poison")
		time.Sleep(time.Minute)
		b.up()
		if c, n := b.last(RoleEvents, StateWaiting); n != 1 || c.Reason != ReasonRead || !strings.Contains(c.Err.Error(), "panic") {
			t.Errorf("lost %d times: %+v", n, c)
		}
		if b.link.Status().Panics != 1 {
			t.Errorf("%d panics were counted", b.link.Status().Panics)
		}
	})
}
