package actions

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// heap is what is in use once garbage is collected.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A request that waits for Asterisk holds neither its body, nor its headers, nor
// what NATS had them in.
func TestRequests_PendingOnesAreSmall(t *testing.T) {
	blanks := strings.Repeat(" ", 240<<10)
	// nats.go cuts all names and values out of one text.
	block := func(name string, n int) (string, string) {
		text := fmt.Sprintf("%s: %d", name, n) + blanks
		return text[:len(name)], text[len(name)+2 : len(text)-len(blanks)]
	}
	for name, test := range map[string]struct {
		pending int
		request func(int) *nats.Msg
	}{
		"a large body": {200, func(n int) *nats.Msg { return requestFor("pbx1", "CoreStatus", fmt.Sprintf(`{"N":%d%s}`, n, blanks)) }},
		"a large requester": {200, func(n int) *nats.Msg {
			name, value := block("Ami-Requester", n)
			return requestFor("pbx1", "CoreStatus", "", name, value)
		}},
		"a large key": {200, func(n int) *nats.Msg {
			name, value := block("Ami-Idempotency-Key", n)
			return requestFor("pbx1", "CoreStatus", "", name, value)
		}},
		// As many as the write buffer takes at once.
		"many headers": {100, func(n int) *nats.Msg {
			return requestFor("pbx1", "CoreStatus", `{`+members(40, `"V#":"`+strings.Repeat("x", 1000)+`"`)+`}`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := askingOf(t, func(c *config.Config) { c.Delivery = config.DeliverCore })
			a.sims["pbx1"].Always("CoreStatus", amisim.Ignore)
			before := heap()
			for n := range test.pending {
				a.to(test.request(n))
			}
			link := a.targets[0].link
			natstest.Within(t, "all are written", func() bool {
				s := link.Status()
				return s.Calls.Pending == test.pending && s.WriteBytes == 0
			})
			if each := (heap() - before) / int64(test.pending); each > 24<<10 {
				t.Errorf("each of %d requests costs %d bytes", test.pending, each)
			}
		})
	}
}
