package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/top"
)

// bridgesFor is for how long other bridges are listened to, which speak four times a second.
const bridgesFor = 1500 * time.Millisecond

// bridges says what keeps this bridge from sharing servers with others, and who they are:
// those that speak within listen.
func (f *findings) bridges(ctx context.Context, nc *nats.Conn, s *env.Settings, listen time.Duration) {
	f.fastIngest(nc, s.Bridge)
	subject := s.Bridge.SubjectPrefix + ".ha.>"
	sub, err := nc.SubscribeSync(subject)
	if err == nil {
		err = nc.FlushTimeout(5 * time.Second)
	}
	if err != nil {
		f.add("FAIL", "subscribe to %s: %v", subject, err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, listen)
	defer cancel()
	spoke := make(map[string][]string) // incarnations by node
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if errors.Is(err, nats.ErrPermissionViolation) {
			f.add("FAIL", "may not subscribe to %s: this bridge would not hear the others", subject)
			return
		}
		if err != nil {
			break
		}
		if strings.Contains(m.Subject[len(subject)-1:], ".") {
			continue // what they ask each other for
		}
		h, err := standby.DecodeHeartbeat(m.Data)
		if err != nil {
			f.add("FAIL", "what comes on %s cannot be read: %v", m.Subject, err)
			return
		}
		if !slices.Contains(spoke[h.Node], h.Incarnation) {
			spoke[h.Node] = append(spoke[h.Node], h.Incarnation)
		}
	}
	f.sameName(len(spoke[s.Bridge.Node]), s)
	delete(spoke, s.Bridge.Node)
	if len(spoke) > 0 {
		f.add("ok", "other bridges that share servers: %s", strings.Join(slices.Sorted(maps.Keys(spoke)), ", "))
	} else {
		f.add("note", "no other bridge is heard on %s: nobody would take over", subject)
	}
}

// fastIngest asks the other servers of a cluster.
func (f *findings) fastIngest(nc *nats.Conn, cfg config.Config) {
	if !natsconn.FastIngestSince(nc.ConnectedServerVersion()) {
		return // it is known
	}
	c := natsconn.New(natsconn.Options{Name: "check", Config: &cfg, Login: natsconn.NewLogin(cfg.NATS, nil, zap.NewNop()), Log: zap.NewNop()})
	if err := c.Adopt(nc); err != nil {
		f.add("FAIL", "%v", err)
		return
	}
	if err := c.FastIngestEverywhere(); err != nil {
		f.add("FAIL", "BRIDGE_HA=on wants fast ingest, of nats-server 2.14 or later: %v", err)
	}
}

// sameName says whether other bridges have this one's name. One may be this one, if that
// is what serves HTTP here.
func (f *findings) sameName(n int, s *env.Settings) {
	switch node := s.Bridge.Node; {
	case n == 0:
	case n == 1 && runsHere(s):
		f.add("ok", "this bridge, %s, runs", node)
	case n == 1:
		f.add("FAIL", "a bridge called %s runs already, and it is not this one as far as BRIDGE_HTTP_ADDR tells: give each its own BRIDGE_NODE", node)
	default:
		f.add("FAIL", "%d bridges called %s run: give each its own BRIDGE_NODE", n, node)
	}
}

// runsHere reports whether the bridge of these settings serves HTTP.
func runsHere(s *env.Settings) bool {
	url, err := top.BridgeURL(s.Bridge.HTTPAddr)
	if s.Bridge.HTTPAddr == "" || err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	code, body, err := askHTTP(ctx, url+"/status.json")
	var status struct{ Bridges []struct{ Node string } }
	return err == nil && code == http.StatusOK && json.Unmarshal(body, &status) == nil &&
		slices.ContainsFunc(status.Bridges, func(b struct{ Node string }) bool { return b.Node == s.Bridge.Node })
}

// sharedStream says why bridges cannot share servers by the stream of events.
func (f *findings) sharedStream(r *streams.Report, cfg *config.Config, version string) {
	if !cfg.HA || r.Name != streams.EventStream {
		return
	}
	if err := r.Unshared(version, streams.Terms(cfg.SubjectPrefix)); err != nil {
		f.add("FAIL", "%v", err)
	}
}

// others compares what the users may read as whom other bridges log in with read, which this
// one's may: where bridges share a server their sessions have to bring the same events.
func (f *findings) others(ctx context.Context, link *amiconn.Link, cfg *amiconn.Config, read []string) {
	own := asked(cfg, read)
	for _, user := range f.users {
		if user == cfg.Username {
			continue
		}
		if !plainUser.MatchString(user) {
			f.add("FAIL", "--other-user %.40q: a name with such characters cannot be asked about", user)
			continue
		}
		all, err := readClasses(ctx, link, user)
		theirs := asked(cfg, all)
		switch {
		case err != nil:
			f.add("FAIL", "user %s of another bridge: %v", user, err)
		case !slices.Equal(own, theirs):
			f.add("FAIL", "user %s of another bridge does not read what %s does: read= of %[1]s lacks %[3]s, that of %[2]s lacks %[4]s. Bridges that share a server want the same",
				user, cfg.Username, orDash(strings.Join(without(own, theirs), ",")), orDash(strings.Join(without(theirs, own), ",")))
		default:
			f.add("ok", "user %s of another bridge may read the same classes", user)
		}
	}
}

// asked are the classes of read that the bridge asks for.
func asked(cfg *amiconn.Config, read []string) (both []string) {
	for _, class := range cfg.Events.Classes() {
		if slices.Contains(read, class) {
			both = append(both, class)
		}
	}
	return both
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(c string) bool { return slices.Contains(some, c) })
}
