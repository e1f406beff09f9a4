package amiconn

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// roomy is a connection that notes how much room each Read had.
type roomy struct {
	net.Conn
	noted func(room int)
}

func (c *roomy) Read(p []byte) (int, error) {
	c.noted(len(p))
	return c.Conn.Read(p)
}

// A session that a long list has made large is small again once it says nothing but Pongs.
func TestRest_ALongListLeavesNoLargeBuffer(t *testing.T) {
	var mu sync.Mutex
	most, last := 0, map[*roomy]int{}
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprint("PJSIP/", i))
	}
	inBubble(t, amisim.Config{Channels: many}, func(_ *Config, d *Deps) {
		dial := d.Dial
		d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			c := &roomy{Conn: conn}
			c.noted = func(room int) {
				mu.Lock()
				defer mu.Unlock()
				most, last[c] = max(most, room), room
			}
			return c, err
		}
	}, func(b *bench) {
		b.up()
		b.do(Action{Name: "CoreShowChannels"})
		time.Sleep(3*b.link.cfg.PingInterval + time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if most < 4<<10 || len(last) != 2 {
			t.Fatalf("%d bytes at the most, %d sessions", most, len(last))
		}
		for _, room := range last {
			if room > 512 {
				t.Errorf("a quiet session has room for %d bytes", room)
			}
		}
	})
}

// What is late, such as the end of a context that comes as the last session goes, starts no
// timer anew.
func TestKeeper_NothingIsDoneOnceItHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t.Context(), NewLink(DefaultConfig(), Deps{}))
		k.end()
		if k.keep(); k.timer.Stop() {
			t.Error("the timer runs")
		}
	})
}

// What is due of many Links within a tenth of a second is done at one moment, no sooner than it
// is due; what is due soon is done in time.
func TestKeeper_LinksAreSeenToTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now() // a whole second
		for late := time.Duration(0); late < 100*time.Millisecond; late += time.Millisecond {
			if got, want := together(now, now.Add(15*time.Second+late)), now.Add(15*time.Second+100*time.Millisecond); got != want {
				t.Errorf("due after %v: done after %v", 15*time.Second+late, got.Sub(now))
			}
			if soon := now.Add(900*time.Millisecond + late); together(now, soon) != soon {
				t.Errorf("due after %v: done after %v", soon.Sub(now), together(now, soon).Sub(now))
			}
		}
	})
}
