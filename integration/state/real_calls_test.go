//go:build unix

package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/present"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// handled is a real Asterisk whose calls Actions handle, and a bridge that keeps its
// state.
type handled struct {
	t       *testing.T
	ctx     context.Context
	a       *realasterisk.Instance
	way     *harness.Relay // from the bridge to Asterisk
	url     string
	r       *harness.Running
	actions *realasterisk.Client
	events  *realasterisk.Client
	also    []string // of the state, beside what events begin and end
	calls   int
}

func handle(ctx context.Context, t *testing.T, a *realasterisk.Instance, url string, also ...string) *handled {
	t.Helper()
	h := &handled{t: t, ctx: ctx, a: a, url: url, way: harness.StartRelay(t, a.Addr()), also: also}
	h.start()
	h.login()
	return h
}

// start starts the bridge.
func (h *handled) start() {
	h.t.Helper()
	s := harness.ChaosServer("pbx1", h.way.Addr)
	s.Username, s.Secret = h.a.User().Name, setting.Secret(h.a.User().Secret)
	h.r = harness.BridgeLogging(h.t, zap.NewNop(), h.url, func(c *config.Config) {
		c.Servers[0].State = slices.Concat(c.Servers[0].State, []string{"agents", "presence", "contacts"}, h.also)
		c.ActionsAllow = setting.Globs{"Reload"}
	}, s)
}

// login is for the start, and after Asterisk has.
func (h *handled) login() {
	h.t.Helper()
	var err error
	if h.actions, err = h.a.Actions(h.ctx); err == nil {
		h.events, err = h.a.Events(h.ctx)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// do has Asterisk do something.
func (h *handled) do(lines ...string) {
	h.t.Helper()
	reply, err := h.actions.Do(h.ctx, lines...)
	if err != nil {
		h.t.Fatalf("%q: %v", lines, err)
	}
	if reply[0].Get("Response") != "Success" {
		h.t.Errorf("%q: %q", lines, reply)
	}
}

// has reports whether f has these headers.
func has(f realasterisk.Frame, headers ...string) bool {
	return !slices.ContainsFunc(headers, func(one string) bool {
		name, value, _ := strings.Cut(one, ": ")
		return f.Get(name) != value
	})
}

// await waits for an event with these headers.
func (h *handled) await(headers ...string) {
	h.t.Helper()
	if _, err := h.events.Until(h.ctx, func(f realasterisk.Frame) bool { return has(f, headers...) }); err != nil {
		h.t.Fatalf("%q never came: %v", headers, err)
	}
}

// attend has a telephone transfer its call, asking first. It dials by a clock, and
// Asterisk may be too slow for it, which can leave the call up: then another does.
func (h *handled) attend() {
	h.t.Helper()
	for done := false; !done; {
		id := h.call("attend", "Dial", "Local/stay@load/n,,Tt")
		mark := strings.ReplaceAll(id, ".", "-")
		over, stop := context.WithCancel(h.ctx)
		var marking sync.WaitGroup
		marking.Go(func() {
			select {
			case <-time.After(20 * time.Second): // it takes six
				if err := h.a.Mark(h.ctx, mark); err != nil {
					h.t.Error(err)
				}
			case <-over.Done():
			}
		})
		_, err := h.events.Until(h.ctx, func(f realasterisk.Frame) bool {
			done = has(f, "Event: AttendedTransfer", "Result: Success")
			return done || has(f, "Event: Hangup", "Uniqueid: "+id) || realasterisk.IsMark(mark)(f)
		})
		stop()
		marking.Wait()
		if err != nil {
			h.t.Fatalf("no call was transferred: %v", err)
		}
	}
}

// call has a call of a Local channel that is not optimised away, and returns the
// Uniqueid of the end that runs app. The other end's, at exten, has an o before it: Asterisk
// takes the begin of a Uniqueid for the whole.
func (h *handled) call(exten, app, data string) (id string) {
	h.t.Helper()
	h.calls++
	id = fmt.Sprintf("h%d.%d", time.Now().UnixNano(), h.calls)
	h.do("Action: Originate", "Async: true", "Channel: Local/"+exten+"@load/n", "ChannelId: "+id, "OtherChannelId: o"+id,
		"Application: "+app, "Data: "+data, "CallerID: Zoë <4711>")
	return id
}

// talking is a call of two.
func (h *handled) talking() (id string) {
	h.t.Helper()
	id = h.call("stay", "Dial", "Local/stay@load/n,,Tt")
	h.await("Event: BridgeEnter", "Uniqueid: "+id)
	return id
}

// waiting is a call that somebody else has to do with.
func (h *handled) waiting() (id string) {
	h.t.Helper()
	id = h.call("stay", "Wait", "600")
	h.await("Event: OriginateResponse", "Uniqueid: "+id)
	return id
}

// round handles a call in each way that Actions have, and leaves what is up.
func (h *handled) round() {
	h.t.Helper()
	blind := h.talking()
	h.do("Action: BlindTransfer", "Channel: "+blind, "Context: load", "Exten: stay")
	h.await("Event: BlindTransfer", "TransfererUniqueid: "+blind)

	h.attend()

	a, b := h.waiting(), h.waiting()
	h.do("Action: Bridge", "Channel1: "+a, "Channel2: "+b)
	h.await("Event: BridgeEnter", "Uniqueid: "+b)

	queued := h.call("line", "Wait", "600")
	h.await("Event: QueueCallerJoin", "Uniqueid: o"+queued)
	agent := h.waiting()
	h.do("Action: Bridge", "Channel1: o"+queued, "Channel2: "+agent)
	h.await("Event: BridgeEnter", "Uniqueid: o"+queued)

	sent := h.talking()
	h.do("Action: Redirect", "Channel: o"+sent, "Context: load", "Exten: 31", "Priority: 1")
	h.await("Event: Newexten", "Uniqueid: o"+sent, "Extension: 31", "Application: Wait")

	parked := h.talking()
	h.do("Action: Park", "Channel: "+parked, "Parkinglot: annex", "Timeout: 600000")
	h.await("Event: ParkedCall", "ParkeeUniqueid: "+parked)
}

// restartNow has Asterisk restart itself, and returns when it has.
func (h *handled) restartNow() {
	h.t.Helper()
	if err := errors.Join(h.a.RestartNow(h.ctx), h.a.Booted(h.ctx)); err != nil {
		h.t.Fatal(err)
	}
	h.login()
}

// hangup ends all calls that this made.
func (h *handled) hangup() {
	h.t.Helper()
	if _, err := h.actions.Do(h.ctx, "Action: Hangup", "Channel: /^Local/"); err != nil { // an Error if there are none
		h.t.Fatal(err)
	}
}

// rest returns what is up once that has not changed for two seconds: events of other threads of Asterisk may
// come behind those of the calls, and the bucket is written behind them.
func (h *handled) rest(b *harness.Board) map[string]map[string]any {
	h.t.Helper()
	for {
		up := b.Up()
		select {
		case <-time.After(2 * time.Second):
		case <-h.ctx.Done():
			h.t.Fatal(h.ctx.Err())
		}
		if cmp.Equal(up, b.Up()) {
			return up
		}
	}
}

// isRight waits for two seconds of rest, and for the lists of another round, which are
// to find nothing to correct.
func (h *handled) isRight(after string) {
	h.t.Helper()
	nc := harness.Client(h.t, h.url)
	defer nc.Close()
	b := harness.WatchState(h.t, nc)
	b.Is("pbx1", "live", "b1")
	last := h.waiting() // NATS may have been away: the bucket is written again once it has this
	harness.Eventually(h.t, "the last call", func() bool { return slices.Contains(b.Channels(), last) })
	rest := h.rest(b)
	corrections := func() map[string]float64 {
		all := map[string]float64{}
		for k := range present.Kinds {
			all[k.String()] = h.r.Metric("state_corrections_total", "kind", k.String())
		}
		return all
	}
	load, took := corrections(), h.r.Metric("state_sync_seconds")
	if reply := h.r.Call("pbx1", "Reload", `{"Module":"res_musiconhold"}`); reply.Error != nil {
		h.t.Fatalf("%+v", reply)
	}
	harness.Eventually(h.t, "a round of lists", func() bool { return h.r.Metric("state_sync_seconds") != took })
	if diff := cmp.Diff(load, corrections()) + cmp.Diff(rest, b.Up()); diff != "" {
		h.t.Errorf("%s: corrected 2 s after rest (-before +after):\n%s", after, diff)
	}
	h.t.Logf("%s: %d keys are right, corrections until then %v", after, len(rest), load)
}

// Calls are transferred, bridged, taken out of queues, redirected and parked, while others
// come and go; sessions are lost, Asterisk restarts and is killed, NATS is away. Two
// seconds later lists find nothing to correct.
func TestReal_TheBucketIsRightAfterAll(t *testing.T) {
	t.Parallel()
	realasterisk.EachAndNext(t, func(t *testing.T, a *realasterisk.Instance) {
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
		defer cancel()
		n := harness.StartNATS(t)
		h := handle(ctx, t, a, n.URL)
		optimised := optimising(h.r)
		others := func() {
			extens := strings.Fields(strings.Repeat(mixed, 5))
			if err := a.Calls(ctx, extens...); err != nil {
				t.Error(err)
			}
			h.calls += len(extens)
		}
		var calling sync.WaitGroup
		calling.Go(others)
		for range 3 {
			h.round()
			h.hangup()
		}
		calling.Wait()
		optimised()
		h.round()
		h.isRight("calls that Actions handled")

		h.way.Cut()
		h.hangup()
		h.round()
		h.isRight("a lost session")

		if err := h.r.Stop(); err != nil {
			t.Fatal(err)
		}
		h.hangup()
		h.round()
		h.start()
		h.isRight("a restart of the bridge")

		n.Kill()
		gone := time.Now()
		h.hangup()
		h.round()
		for time.Since(gone) < 30*time.Second {
			h.hangup()
			h.round()
		}
		n.Start()
		h.isRight("NATS away for 30 s")

		if a.OwnConfiguration() {
			if err := a.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			h.login()
			h.round()
			h.isRight("a kill of Asterisk")
			h.restartNow()
			h.round()
			h.isRight("core restart now")
		}
		h.hangup()
		t.Logf("%d calls", h.calls)
	})
}
