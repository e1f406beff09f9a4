//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

const (
	benchActions = 320 // a round, a way and a number of callers
	benchRounds  = 12
)

// way is one way to ask for the same Getvar.
type way struct {
	name string
	ask  func() error // any number at once
	took []time.Duration
	busy time.Duration // all rounds
}

// BenchmarkActions prints how many Actions a second there are and how long each
// takes, through the bridge, on a session of our own with the same Asterisk, and
// as bare NATS requests to an echo in this process. The ways take turns, and only
// the ratios mean something. Asterisk is the real one that
// BRIDGE_TEST_ASTERISK_22 names, else a simulated one in a process of its own.
func BenchmarkActions(b *testing.B) {
	what, addr, user := benchAsterisk(b)
	url := harness.NATS(b)
	one := harness.Server("one", addr, user.Name, user.Secret)
	four := harness.Server("four", addr, user.Name, user.Secret)
	four.ActionSessions = 4
	r := harness.Bridge(b, url, nil, one, four)
	request := nats.NewMsg("ami.actions.one.Getvar")
	request.Data = []byte(`{"Variable":"GREETING"}`)
	sample, err := r.Client.RequestMsg(request, harness.Patience)
	if err != nil {
		b.Fatal(err)
	}
	echoes := harness.Client(b, url)
	if _, err := echoes.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(sample.Data) }); err != nil {
		b.Fatal(err)
	}
	if err := echoes.Flush(); err != nil {
		b.Fatal(err)
	}
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			b.Log(what)
			echo := &way{name: "bare NATS request", ask: askerOf(r, "echo", request.Data)}
			direct1 := &way{name: "direct AMI, 1 session", ask: direct(b, addr, user, 1)}
			direct4 := &way{name: "direct AMI, 4 sessions", ask: direct(b, addr, user, 4)}
			bridge1 := &way{name: "bridge, 1 action session", ask: askerOf(r, "ami.actions.one.Getvar", request.Data)}
			bridge4 := &way{name: "bridge, 4 action sessions", ask: askerOf(r, "ami.actions.four.Getvar", request.Data)}
			ways := []*way{echo, direct1, direct4, bridge1, bridge4}
			for range benchRounds {
				for _, w := range ways {
					w.round(b, callers)
				}
			}
			for _, w := range ways {
				slices.Sort(w.took)
				b.Logf("%-26s %6.0f/s   p50 %8v   p99 %8v", w.name, w.rate(), quantile(w.took, 50), quantile(w.took, 99))
			}
			for b.Loop() {
				continue
			}
			bridge1.over(b, direct1, "direct")
			bridge4.over(b, direct4, "direct-4")
			bridge1.over(b, echo, "bare")
		})
	}
}

// over prints w as a multiple of other, which name is short for.
func (w *way) over(b *testing.B, other *way, name string) {
	ratio := func(percent int) float64 {
		return float64(quantile(w.took, percent)) / float64(quantile(other.took, percent))
	}
	b.Logf("%s / %s: %.2fx the Actions, p50 %.2fx, p99 %.2fx", w.name, other.name, w.rate()/other.rate(), ratio(50), ratio(99))
	b.ReportMetric(w.rate()/other.rate(), "rate-ratio-"+name)
	b.ReportMetric(ratio(50), "p50-ratio-"+name)
	b.ReportMetric(ratio(99), "p99-ratio-"+name)
}

// benchAsterisk returns what is measured against.
func benchAsterisk(b *testing.B) (what, addr string, user realasterisk.User) {
	b.Helper()
	dir := os.Getenv("BRIDGE_TEST_ASTERISK_22")
	if dir == "" {
		addr, _ := simProcess(b)
		return "a simulated Asterisk, since BRIDGE_TEST_ASTERISK_22 is not set", addr, realasterisk.User{Name: "bridge", Secret: "s3cret"}
	}
	ctx, cancel := context.WithTimeout(b.Context(), harness.Patience)
	defer cancel()
	a, err := realasterisk.Start(ctx, dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := a.Close(); err != nil {
			b.Error(err)
		}
	})
	return "Asterisk " + a.Version(), a.Addr(), a.User()
}

// round asks benchActions times, so many at once.
func (w *way) round(b *testing.B, callers int) {
	took := make([][]time.Duration, callers)
	var group sync.WaitGroup
	began := time.Now()
	for i := range took {
		group.Go(func() {
			for range benchActions / callers {
				start := time.Now()
				if err := w.ask(); err != nil {
					b.Errorf("%s: %v", w.name, err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	group.Wait()
	if b.Failed() {
		b.FailNow()
	}
	w.busy += time.Since(began)
	w.took = append(w.took, slices.Concat(took...)...)
}

// rate is in Actions a second.
func (w *way) rate() float64 { return float64(len(w.took)) / w.busy.Seconds() }

// askerOf is a way through NATS.
func askerOf(r *harness.Running, subject string, body []byte) func() error {
	return func() error {
		reply, err := r.Client.Request(subject, body, harness.Patience)
		if err == nil && reply.Header.Get("Nats-Service-Error") != "" {
			err = fmt.Errorf("%s", reply.Data)
		}
		return err
	}
}

// directSession is a direct session whose callers do not wait for each other.
type directSession struct {
	c       *realasterisk.Client
	mu      sync.Mutex         // protects writing and the order of waiting
	waiting chan chan struct{} // in the order of the Actions; full: the next caller waits
}

// direct is a way of sessions that callers take turns at. Asterisk answers each
// session in order, so that the first answer is the first caller's.
func direct(b *testing.B, addr string, user realasterisk.User, sessions int) func() error {
	b.Helper()
	all := make([]*directSession, sessions)
	for i := range all {
		c, err := realasterisk.Dial(b.Context(), addr)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Login(b.Context(), user, realasterisk.MD5, "off"); err != nil {
			b.Fatal(err)
		}
		s := &directSession{c: c, waiting: make(chan chan struct{}, 64)}
		all[i] = s
		var group sync.WaitGroup
		group.Go(func() {
			for {
				f, err := c.Next(context.Background())
				if err != nil {
					return // closed
				}
				if f.Get("Response") == "Success" {
					close(<-s.waiting)
				}
			}
		})
		b.Cleanup(func() { c.Close(); group.Wait() })
	}
	var turn atomic.Uint64
	return func() error { return all[turn.Add(1)%uint64(sessions)].ask() }
}

func (s *directSession) ask() error {
	done := make(chan struct{})
	s.mu.Lock()
	s.waiting <- done
	_, err := s.c.Send("Action: Getvar", "Variable: GREETING")
	s.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(harness.Patience):
		return errors.New("no answer")
	}
}
