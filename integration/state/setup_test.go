package state

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// pbx is a simulated Asterisk whose channels the test has begin and end, with an event
// or silently.
type pbx struct {
	*amisim.Server
	addr string

	mu       sync.Mutex
	channels []string // their Uniqueids
}

func startPBX(t testing.TB) *pbx {
	t.Helper()
	p := new(pbx)
	p.Server, p.addr = harness.Sim(t, amisim.Config{})
	p.Always("CoreShowChannels", func(s *amisim.Session, a *amisim.Action) { s.Write(p.listing(a)) })
	return p
}

// listing is what is up now, as the list says it.
func (p *pbx) listing(a *amisim.Action) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b bytes.Buffer
	fmt.Fprintf(&b, "Response: Success\r\nActionID: %s\r\nEventList: start\r\nMessage: Channels will follow\r\n\r\n", a.ActionID)
	for _, id := range p.channels {
		fmt.Fprintf(&b, "Event: CoreShowChannel\r\nActionID: %s\r\n%s\r\n", a.ActionID, p.block(id))
	}
	fmt.Fprintf(&b, "Event: CoreShowChannelsComplete\r\nActionID: %s\r\nEventList: Complete\r\nListItems: %d\r\n\r\n", a.ActionID, len(p.channels))
	return b.Bytes()
}

func (p *pbx) block(id string) string {
	return "Channel: PJSIP/" + id + "\r\nChannelState: 6\r\nChannelStateDesc: Up\r\nCallerIDNum: 100\r\nUniqueid: " + id + "\r\nLinkedid: " + id + "\r\n"
}

// begin has a channel begin, silent or not.
func (p *pbx) begin(id string, silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.channels = append(p.channels, id)
	if !silent {
		p.EmitRaw([]byte("Event: Newchannel\r\nPrivilege: call,all\r\n" + p.block(id) + "\r\n"))
	}
}

func (p *pbx) end(id string, silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var left []string
	for _, other := range p.channels {
		if other != id {
			left = append(left, other)
		}
	}
	p.channels = left
	if !silent {
		p.EmitRaw([]byte("Event: Hangup\r\nPrivilege: call,all\r\n" + p.block(id) + "\r\n"))
	}
}

// stated is a bridge of node that keeps the state of p, called pbx1.
func stated(t testing.TB, node, url string, p *pbx, change func(*config.Config)) *harness.Running {
	t.Helper()
	return harness.BridgeLogging(t, zap.NewNop(), url, func(c *config.Config) {
		c.Node, c.StatusInterval, c.StateInterval, c.StateMarkerAge = node, 200*time.Millisecond, 20*time.Millisecond, time.Minute
		if change != nil {
			change(c)
		}
	}, harness.Server("pbx1", p.addr, "bridge", "s3cret"))
}
