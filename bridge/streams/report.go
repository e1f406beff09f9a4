package streams

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// ActionSubjects is the name under which a report says whether a stream
// captures the subjects of the Actions, which none may.
const ActionSubjects = "actions"

// Report is how one stream stands, as it is in the status of the node.
type Report struct {
	Name        string       `json:"name"`
	State       string       `json:"state"` // one of docs/stream-states.md
	Error       string       `json:"error,omitempty"`
	Differences []Difference `json:"differences"`
	Messages    uint64       `json:"messages"`
	Bytes       uint64       `json:"bytes"`
	Since       string       `json:"since"`

	unread error // see finding
}

// Difference is a field in which a stream is not as configured.
type Difference struct {
	Field string `json:"field"`
	Have  string `json:"have"`
	Want  string `json:"want"`
	// Left is why it is not changed.
	Left string `json:"left"`
	// Breaks is what goes wrong meanwhile, if anything does.
	Breaks string `json:"breaks,omitempty"`
	// Loses reports that messages are refused or lost by that.
	Loses bool `json:"-"`
}

func (d Difference) String() string { return d.Field + " " + d.Have + " -> " + d.Want }

// Check connects to NATS as cfg says, looks at the streams as a bridge
// does when it starts, and returns a report of each; that of ActionSubjects is
// the first. It makes and changes nothing. Where BRIDGE_STREAMS=manage would, a
// stream is missing without an Error, or a difference has nothing in Left: a
// bridge does so if NATS lets it, which is asked only of AMI_EVENTS where bridges share
// servers. It takes up to 3 s a
// question. The error is that NATS is not reached, or that ctx has ended.
func Check(ctx context.Context, cfg config.Config) ([]Report, error) {
	c := natsconn.New(natsconn.Options{Name: "check", Config: &cfg, Log: zap.NewNop()})
	k := New(&cfg, []*natsconn.Conn{c}, func() {}, func(context.Context, string, State) {}, zap.NewNop())
	k.dry = true
	nc, err := natsconn.Connect(cfg, "check", nats.NoReconnect(), nats.UseOldRequestStyle(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { k.connectionError(err) }))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	if err := c.Adopt(nc); err != nil {
		return nil, err
	}
	k.Check(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case !nc.IsConnected():
		return nil, nats.ErrDisconnected
	}
	return k.States(), nil
}
