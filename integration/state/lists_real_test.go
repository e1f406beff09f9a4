//go:build unix

package state

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// of is how many objects of a kind are up.
func of(b *harness.Board, kind string) (n int) {
	for key := range b.Up() {
		if strings.HasPrefix(key, "pbx1."+kind+".") {
			n++
		}
	}
	return n
}

// With app_queue its queues go, and with it they come, long before the next round of lists.
func TestReal_AModuleGoesAndComes(t *testing.T) {
	t.Parallel()
	realasterisk.EachAndNext(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		h := handle(ctx, t, a, harness.NATS(t))
		nc := harness.Client(t, h.url)
		defer nc.Close()
		b := harness.WatchState(t, nc)
		b.Is("pbx1", "live", "b1")
		is := func(said string, up bool) {
			t.Helper()
			harness.Eventually(t, said, func() bool {
				why, _ := b.Server("pbx1")["not_kept"].(map[string]any)
				return (of(b, "queue") > 0) == up && (of(b, "member") > 0) == up && (why["queue"] == nil) == up
			})
		}
		is("queues", true)
		h.do("Action: ModuleLoad", "LoadType: unload", "Module: app_queue.so")
		is("no queues", false)
		h.do("Action: ModuleLoad", "LoadType: load", "Module: app_queue.so")
		is("queues again", true)
	})
}

// Who takes part in a conference is up whatever bytes its name is of. Asterisk raises no event of one whose
// name is not UTF-8.
func TestReal_AConferenceInLatin1(t *testing.T) {
	t.Parallel()
	realasterisk.EachAndNext(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		r := harness.BridgeLogging(t, zap.NewNop(), harness.NATS(t), func(c *config.Config) {
			c.Servers[0].Charset, c.Servers[0].StateResync = frames.Latin1, time.Second
		}, harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))
		b := harness.WatchState(t, r.Client)
		b.Is("pbx1", "live", "b1")
		actions, err := a.Actions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer actions.Close()
		for _, room := range []string{"room-B\xfcro", "room-B\u00fcro"} {
			if _, err := actions.Do(ctx, "Action: Originate", "Async: true", "Channel: Local/"+room+"@load/n", "Application: Wait", "Data: 100"); err != nil {
				t.Fatal(err)
			}
		}
		rooms := func() string {
			names := map[any]bool{}
			for key, value := range b.Up() {
				if strings.HasPrefix(key, "pbx1.participant.") {
					names[value["Conference"]] = true
				}
			}
			return fmt.Sprint(names)
		}
		const want = "map[room-B\u00c3\u00bcro:true room-B\u00fcro:true]"
		harness.Eventually(t, "both conferences", func() bool { return rooms() == want })
		asked := r.Metric("state_lists_total")
		harness.Eventually(t, "two more rounds of lists", func() bool { return r.Metric("state_lists_total") > asked+24 })
		if got := rooms(); got != want {
			t.Errorf("behind lists there are %s", got)
		}
	})
}
