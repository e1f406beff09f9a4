package amiconn

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

func TestLink_NotConnectedSaysNothingWasSent(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		b.sim.Always(amisim.Accept, amisim.Refuse)
		b.sim.Kick()
		synctest.Wait()
		_, err := b.link.Do(Action{Name: "Ping", Done: func(*correlation.Result) { t.Error("Done was called") }})
		if !errors.Is(err, ErrNotConnected) {
			t.Errorf("Do = %v, want ErrNotConnected", err)
		}
	})
}

func TestLink_TimeoutThenLateResponse(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		b.sim.Next("CoreStatus", amisim.Delay(3*time.Second))
		if r := b.do(Action{Name: "CoreStatus", Timeout: time.Second}); r.Outcome != correlation.TimedOut || r.Sent != correlation.SentUnknown {
			t.Errorf("%v, sent %v; want timed_out, unknown", r.Outcome, r.Sent)
		}
		time.Sleep(5 * time.Second)
		if late := b.link.Status().Calls.Late; late == 0 {
			t.Error("the late response was not counted")
		}
		if r := b.do(Action{Name: "CoreSettings"}); r.Outcome != correlation.Answered {
			t.Errorf("the next action: %v", r.Outcome)
		}
	})
}

func TestLink_OriginateWaitsForTheEvent(t *testing.T) {
	for _, failed := range []bool{false, true} {
		sim := amisim.Config{Originate: func(*amisim.Action) amisim.Originated {
			return amisim.Originated{Answer: 2 * time.Second, Failed: failed, Reason: 5}
		}}
		inBubble(t, sim, nil, func(b *bench) {
			b.up()
			r := b.do(Action{Name: "Originate", WaitComplete: true, Headers: []frames.Header{
				header("Channel", "Local/1@x"), header("Exten", "1"), header("Context", "x"), header("Priority", "1"), header("Async", "true"),
			}})
			want := correlation.Answered
			if failed {
				want = correlation.AsteriskError
			}
			if r.Outcome != want || r.EventCount != 1 || r.Duration < 2*time.Second {
				t.Errorf("failed %v: %v with %d events after %v", failed, r.Outcome, r.EventCount, r.Duration)
			}
		})
	}
}

func TestLink_WriteBufferFullIsBusy(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.WriteBufferBytes = 4 * setting.KiB }, func(b *bench) {
		b.up()
		thaw := b.sim.FreezeReads()
		defer thaw()
		ended := 0
		var mu sync.Mutex
		accepted, busy := 0, 0
		for range 5000 {
			_, err := b.link.Do(Action{
				Name: "Getvar", Headers: []frames.Header{header("Variable", strings.Repeat("x", 500))}, Timeout: time.Second,
				Done: func(r *correlation.Result) { mu.Lock(); ended++; mu.Unlock(); r.Release() },
			})
			switch {
			case err == nil:
				accepted++
			case errors.Is(err, ErrBusy):
				busy++
			default:
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if busy == 0 || ended != accepted {
			t.Errorf("%d accepted, %d ended, %d busy: each accepted one must end, the rest be refused", accepted, ended, busy)
		}
	})
}
