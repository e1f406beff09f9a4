package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/embedded"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
)

// checkNATS connects as the bridge would. It only subscribes, to subjects that
// nobody uses, and asks JetStream, so it changes nothing. To other bridges, where there may
// be some, it listens for so long.
func checkNATS(ctx context.Context, s *env.Settings, listen time.Duration) findings {
	f := findings{about: "NATS"}
	if s.Bridge.NATS.URL == "" {
		f.embedded(s.EmbeddedNATSAddr)
		f.hub(ctx, s)
		return f
	}
	nc, err := natsconn.Connect(s.Bridge, "check", nats.NoReconnect(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // each is seen where it belongs
	if err != nil {
		f.add("FAIL", "%s: %v", env.RedactURLs(s.Bridge.NATS.URL), err)
		return f
	}
	defer nc.Close()
	f.add("ok", "%s: nats-server %s", env.RedactURLs(nc.ConnectedUrl()), nc.ConnectedServerVersion())
	if trip, err := nc.RTT(); err == nil {
		f.add("ok", "round trip %v", trip.Round(10*time.Microsecond))
	}
	claims := s.Bridge.NATS.UserJWT()
	f.userJWT(claims)
	f.subscriptions(nc, &s.Bridge)
	f.streams(ctx, &s.Bridge, nc.ConnectedServerVersion())
	if s.Bridge.HA {
		f.bridges(ctx, nc, s, listen)
	}
	if s.Bridge.Delivery != config.DeliverCore {
		f.beside(ctx, nc, &s.Bridge)
	}
	f.publishing(claims, &s.Bridge)
	return f
}

// embedded says whether the embedded server could start.
func (f *findings) embedded(addr string) {
	if err := embedded.Free(addr); err != nil {
		f.add("FAIL", "%v (or is the bridge running?)", err)
		return
	}
	host, _, _ := net.SplitHostPort(addr)
	f.add("ok", "BRIDGE_NATS_URL is empty: an embedded nats-server will listen on %s", addr)
	if !loopback(host) {
		f.add("note", "it takes anybody who reaches %s: it has no passwords", addr)
	}
}

// subscriptions tries those of the micro service. The last token keeps them
// clear of real requests: a listener on those would take "no responders" from
// callers while no bridge runs.
func (f *findings) subscriptions(nc *nats.Conn, cfg *config.Config) {
	subjects := []string{"$SRV.PING." + actions.ServiceName + ".check-only"}
	for _, server := range cfg.Servers {
		subjects = append(subjects, cfg.SubjectPrefix+".actions."+server.Name+".check-only")
	}
	var refused []string
	for _, subject := range subjects {
		sub, err := nc.SubscribeSync(subject)
		if err == nil {
			if err = nc.FlushTimeout(5 * time.Second); err == nil {
				_, err = sub.NextMsg(time.Millisecond)
			}
		}
		switch {
		case errors.Is(err, nats.ErrPermissionViolation):
			refused = append(refused, subject)
		case err != nil && !errors.Is(err, nats.ErrTimeout):
			f.add("FAIL", "subscribe to %s: %v", subject, err)
			return
		}
	}
	if len(refused) > 0 {
		f.add("FAIL", "may not subscribe to %s", strings.Join(refused, ", "))
		return
	}
	f.add("ok", "may subscribe to what the actions need")
}
