package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/beside"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const (
	// besideFor is how old what another bridge has published may be for it to run still: who
	// leads a server that is shared writes its term anew as often.
	besideFor = time.Minute
	// besideSpan is how far back the events are read, for one of two bridges may be the last.
	besideSpan = 5 * time.Second
)

// beside says of each server whether a bridge publishes it now with which this one would not
// share it.
func (f *findings) beside(ctx context.Context, nc *nats.Conn, cfg *config.Config) {
	c := natsconn.New(natsconn.Options{Name: "check", Config: cfg, Login: natsconn.NewLogin(cfg.NATS, nil, zap.NewNop()), Log: zap.NewNop()})
	if err := c.Adopt(nc); err != nil {
		f.add("FAIL", "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout/2)
	defer cancel()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if _, publish, denied := natsconn.Denial(err); publish {
			refuse(denied) // else each question waits for an answer that does not come
		}
	})
	var shares []string
	alone := make(map[string][]string) // servers by node
	for i := range cfg.Servers {
		name := cfg.Servers[i].Name
		shared, nodes, err := publishers(ctx, c, cfg.SubjectPrefix, name)
		if err != nil {
			f.add("note", "whether another bridge publishes %s is not known: %v", name, cmp.Or(context.Cause(ctx), err))
			return // and so of the rest
		}
		if shared {
			shares = append(shares, name)
		}
		for _, node := range nodes {
			if node != cfg.Node {
				alone[node] = append(alone[node], name)
			}
		}
	}
	if len(shares) > 0 && !cfg.HA {
		f.add("FAIL", "bridges with BRIDGE_HA=on publish %s: this one, without it, would have each event stored twice. Set BRIDGE_HA=on, or end them first", strings.Join(shares, ", "))
	}
	for _, node := range slices.Sorted(maps.Keys(alone)) {
		f.add("FAIL", "%.64s, a bridge without BRIDGE_HA=on, publishes %s: beside this one it would have each event stored twice. End it first, or give all of a prefix BRIDGE_HA=on",
			node, strings.Join(alone[node], ", "))
	}
}

// publishers returns whether bridges that share the server publish it now, and the nodes that
// do and share nothing.
func publishers(ctx context.Context, c *natsconn.Conn, prefix, server string) (shared bool, nodes []string, err error) {
	term, stream, err := streams.LastOn(ctx, c.Get().JS, prefix+".terms."+server)
	if err != nil || stream == nil {
		return false, nil, err
	}
	shared = term != nil && stream.CachedInfo().TimeStamp.Sub(term.Time) < besideFor
	events, err := delivery.ReadSince(ctx, c, prefix+".events."+server+".>", time.Now().Add(-besideSpan), 0)
	if err != nil || time.Since(events.At) > besideFor {
		return shared, nil, err
	}
	for _, id := range events.IDs {
		if node, shares := beside.Publisher(id, server); !shares && node != "" && !slices.Contains(nodes, node) {
			nodes = append(nodes, node)
		}
	}
	return shared, nodes, nil
}
