//go:build unix

package conns

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// renewEvery is often, so that no test waits long for it.
const renewEvery = 2 * time.Second

// backIn is within what everything works again once the cause is gone. The
// machine may be slow: what a test waits for at most is harness.Patience.
const backIn = 30 * time.Second

// ruled is a bridge to pbx1 on a server whose options change while it runs. The
// bridge's user is bridge; whoever gives no name may do all.
type ruled struct {
	*harness.Running
	sim     *amisim.Server
	server  *natsserver.Server
	options *natsserver.Options
	logs    *observer.ObservedLogs
}

func startRuled(t *testing.T, change func(*config.Config), options func(*natsserver.Options)) *ruled {
	t.Helper()
	r := &ruled{Running: &harness.Running{T: t}}
	r.server = natstest.Serve(t, func(o *natsserver.Options) {
		o.NoAuthUser, o.Users = "admin", users(nil)
		if options != nil {
			options(o)
		}
		r.options = o.Clone()
	})
	var addr string
	r.sim, addr = harness.Sim(t, amisim.Config{NotBooted: true})
	cfg := config.DefaultConfig()
	harness.ChaosConfig(&cfg)
	harness.AsBridge(&cfg)
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL = "b1", harness.Addr(t), r.server.ClientURL()
	cfg.Servers = []config.ServerConfig{harness.ChaosServer("pbx1", addr)}
	if change != nil {
		change(&cfg)
	}
	r.run(t, r.reader(), cfg)
	return r
}

// reader is a client that may do all, and trusts everybody.
func (r *ruled) reader() *nats.Conn {
	r.T.Helper()
	nc, err := nats.Connect(r.server.ClientURL(), nats.Timeout(harness.Patience), func(o *nats.Options) error {
		o.TLSConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // it reads only
		return nil
	})
	if err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(nc.Close)
	return nc
}

// users are the admin and the bridge, with these rights; nil: all.
func users(p *natsserver.Permissions) []*natsserver.User {
	return []*natsserver.User{{Username: "admin", Password: "a"}, {Username: "bridge", Password: "b", Permissions: p}}
}

// reload changes the server's options.
func (r *ruled) reload(change func(*natsserver.Options)) {
	r.T.Helper()
	options := r.options.Clone()
	change(options)
	r.options = options.Clone()
	if err := r.server.ReloadOptions(options); err != nil {
		r.T.Fatal(err)
	}
}

// rights gives the bridge these.
func (r *ruled) rights(p *natsserver.Permissions) {
	r.T.Helper()
	r.reload(func(o *natsserver.Options) { o.Users = users(p) })
}

// works wants events to be stored, Actions answered, also with a key, records
// stored and readyz to say so, within backIn.
func (r *ruled) works() {
	r.T.Helper()
	began := time.Now()
	r.readyzIs(200)
	published, stored := r.Metric("events_published_total"), r.Metric("audit_records_total")
	r.sim.Emit("Event", "Works")
	harness.Eventually(r.T, "an event is stored", func() bool { return r.Metric("events_published_total") > published })
	answered := func(headers nats.Header) func() bool {
		return func() bool {
			// What is asked while the connection goes is lost with it.
			m, err := r.Client.RequestMsg(&nats.Msg{Subject: "ami.actions.pbx1.CoreStatus", Header: headers}, harness.AnswerIn)
			return err == nil && m.Header.Get("Nats-Service-Error") == ""
		}
	}
	harness.Eventually(r.T, "an Action is answered", answered(nil))
	harness.Eventually(r.T, "an Action with a key is answered", answered(nats.Header{harness.KeyHeader: {fmt.Sprint("k", began.UnixNano())}}))
	harness.Eventually(r.T, "the records are stored", func() bool { return r.Metric("audit_records_total") >= stored+2 })
	if took := time.Since(began); took > backIn {
		r.T.Errorf("it worked again after %v", took)
	}
	r.Stands(streams.EventStream, "ok")
}

func (r *ruled) readyzIs(code int) (body harness.Readyz) {
	r.T.Helper()
	defer func() {
		if r.T.Failed() {
			r.T.Logf("%+v", body)
		}
	}()
	harness.Eventually(r.T, fmt.Sprint("/readyz is ", code), func() (ok bool) {
		var got int
		got, body = r.Readyz()
		return got == code
	})
	return body
}

// unanswered waits until nobody hears requests for pbx1.
func (r *ruled) unanswered() {
	r.T.Helper()
	harness.Eventually(r.T, "nobody answers", func() bool {
		_, err := r.Client.Request("ami.actions.pbx1.CoreStatus", nil, time.Second)
		return err == nats.ErrNoResponders
	})
}

// big is an event of so many bytes.
func (r *ruled) big(name string, size int) {
	text := "Event: " + name + "\r\nPrivilege: call,all\r\n"
	for n := len(text); n < size; n += 1000 {
		text += fmt.Sprintf("Header%d: %s\r\n", n, strings.Repeat("x", 1000))
	}
	r.sim.EmitRaw([]byte(text + "\r\n"))
}

// What is too large since a reload is a Gap, and nothing else is lost: the server
// closes the connection for it, which nats.go does not open again. What is
// allowed again is stored again.
func TestConns_MaxPayloadLoweredAndRaised(t *testing.T) {
	longtest.Mark(t, "the server's word on its limits has to grow old")
	t.Parallel()
	r := startRuled(t, nil, nil)
	r.big("Before", 200<<10)
	r.Drained("pbx1", 1)
	r.reload(func(o *natsserver.Options) { o.MaxPayload = 64 << 10 })
	gaps := r.Subscribe("ami.status.pbx1.gap")
	for range 5 {
		r.sim.Emit("Event", "Small")
		r.big("Large", 200<<10)
	}
	r.sim.Emit("Event", "Small")
	if b := r.Drained("pbx1", 12); b.Published != 7 || b.Dropped["oversize"] != 5 {
		t.Errorf("%+v", b)
	}
	r.AwaitText(gaps, `"reason":"oversize"`)
	r.works()
	r.reload(func(o *natsserver.Options) { o.MaxPayload = 1 << 20 })
	<-time.After(renewEvery + time.Second) // so old may the server's word be
	published := r.Metric("events_published_total")
	r.big("After", 200<<10)
	harness.Eventually(t, "a large event is stored", func() bool { return r.Metric("events_published_total") == published+1 })
	got := harness.CheckStory(t, r.Story("pbx1"))
	if len(got.Gaps) == 0 || got.Sessions != 1 {
		t.Errorf("%d gaps, %d sessions", len(got.Gaps), got.Sessions)
	}
	r.works()
}

// A reply that is too large since a reload costs the connection once; then it is
// refused as such, and is a reply again when it may be.
func TestConns_RepliesWithinTheNewLimit(t *testing.T) {
	longtest.Mark(t, "the server's word on its limits has to grow old")
	t.Parallel()
	r := startRuled(t, nil, nil)
	long := func() harness.Reply { return r.Call("pbx1", "Command", `{"Command":"long 5000"}`) }
	harness.Succeeds(t, long())
	r.reload(func(o *natsserver.Options) { o.MaxPayload = 32 << 10 })
	if _, err := r.Client.Request("ami.actions.pbx1.Command", []byte(`{"Command":"long 5000"}`), time.Second); err == nil {
		t.Error("a reply over the server's limit arrived")
	}
	r.works()
	r.Client = r.reader()
	harness.Fails(t, long(), "reply_too_large", "yes")
	r.reload(func(o *natsserver.Options) { o.MaxPayload = 1 << 20 })
	<-time.After(renewEvery + time.Second)
	r.Client = r.reader()
	harness.Succeeds(t, long())
	r.works()
}

// Rights that were taken and are given back are as good as before, whatever they
// are to.
func TestConns_RightsTakenAndGivenBack(t *testing.T) {
	t.Parallel()
	for name, denied := range map[string]natsserver.Permissions{
		"actions":       {Subscribe: harness.Denied("ami.actions.>")},
		"inboxes":       {Subscribe: harness.Denied("_INBOX_amibridge_b1.>")},
		"all to hear":   {Subscribe: harness.Denied(">")},
		"events":        {Publish: harness.Denied("ami.events.>")},
		"all but hears": {Publish: harness.Denied(">")},
		"all":           {Publish: harness.Denied(">"), Subscribe: harness.Denied(">")},
	} {
		t.Run(name, func(t *testing.T) {
			if slices.Contains([]string{"inboxes", "all to hear", "all but hears", "all"}, name) {
				longtest.Mark(t, "what was denied has to last, and is tried anew at times")
			}
			t.Parallel()
			r := startRuled(t, nil, nil)
			r.works()
			r.rights(&denied)
			if denied.Subscribe != nil && denied.Subscribe.Deny[0] != "_INBOX_amibridge_b1.>" {
				body := r.readyzIs(503)
				if !strings.Contains(body.Actions["pbx1"], "subscribe to ami.actions.pbx1.*") {
					t.Errorf("%+v", body)
				}
				r.unanswered()
			}
			r.sim.Emit("Event", "Held")
			<-time.After(3 * time.Second) // there is no end of it to wait for
			r.rights(nil)
			r.works()
			b := r.Drained("pbx1", 3)
			if b.Published != 3 {
				t.Errorf("%+v", b)
			}
		})
	}
}

// The same for what nobody used meanwhile.
func TestConns_RightsTakenAndGivenBackUnused(t *testing.T) {
	longtest.Mark(t, "what nobody uses is tried anew at times")
	// Not beside others: it wants something within seconds.
	r := startRuled(t, func(c *config.Config) { c.Audit = config.AuditStrict }, nil)
	r.works()
	r.rights(&natsserver.Permissions{Subscribe: harness.Denied(">")})
	r.readyzIs(503)
	r.rights(nil)
	<-time.After(3 * renewEvery)
	began := time.Now()
	r.works()
	if took := time.Since(began); took > ackPatience {
		t.Errorf("after %v without a cause it took %v", 3*renewEvery, took)
	}
}

// ackPatience is less than a message that is not acknowledged costs.
const ackPatience = 4 * time.Second

// The limits of an account, and of the server, lowered and raised.
func TestConns_LimitsReached(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]string{
		"account's connections":   "max_connections: 1",
		"account's subscriptions": "max_subscriptions: 4",
		"account's payload":       "max_payload: 150",
		"connections":             "max_connections: 2",
		"control line":            "max_control_line: 20",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "account's subscriptions" || name == "account's payload" {
				longtest.Mark(t, "what was denied has to last, and is tried anew at times")
			}
			t.Parallel()
			r := &ruled{}
			c := newConfigured(t)
			reload := c.reload
			if name == "control line" {
				reload = c.restart
			}
			var addr string
			r.sim, addr = harness.Sim(t, amisim.Config{NotBooted: true})
			r.Running = harness.Bridge(t, "nats://reader:r@"+c.server.Addr().String(), func(cfg *config.Config) {
				harness.ChaosConfig(cfg)
				cfg.NATS.RenewEvery = renewEvery
				cfg.NATS.URL = "nats://bridge:b@" + c.server.Addr().String()
				cfg.HTTPAddr, cfg.State = harness.Addr(t), false // see ruled.run
			}, harness.ChaosServer("pbx1", addr))
			r.works()
			if strings.HasPrefix(name, "account's ") {
				reload("", limit)
			} else {
				reload(limit, "")
			}
			cut(t, c.server)
			r.readyzIs(503)
			r.sim.Emit("Event", "Held")
			<-time.After(3 * time.Second)
			reload("", "")
			r.Client = harness.Client(t, "nats://reader:r@"+c.server.Addr().String())
			r.works()
			if b := r.Drained("pbx1", 3); b.Published+b.Dropped["oversize"] != 3 || b.Published < 2 {
				t.Errorf("%+v", b)
			}
		})
	}
}

// Any error that nats.go does not know closes its connection for good.
func TestConns_AnyErrorOfTheServer(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]struct {
		errors []string
		remade float64 // connections at least
	}{
		"of one's own": {remade: 3, errors: []string{
			"-ERR 'Something New'", "-ERR 'Maximum Payload Violation'", "-ERR 'Invalid Publish Subject'", "-ERR 'Parser Error'",
		}},
		"of who one is": {remade: 1, errors: []string{
			"-ERR 'Authentication Timeout'", "-ERR 'Authorization Violation'", "-ERR 'User Authentication Revoked'", "-ERR 'Secure Connection - TLS Required'",
		}},
		"of the connection": {remade: 2, errors: []string{
			"-ERR 'Stale Connection'", "-ERR 'maximum connections exceeded'", "-ERR 'Unknown Protocol Operation'", "-ERR 'maximum control line exceeded'", "nonsense",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Serve(t, nil)
			sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
			front := startSaying(t, s.Addr().String())
			r := &ruled{sim: sim, server: s}
			r.Running = harness.BridgeFor(t, zap.NewNop(), harness.Client(t, s.ClientURL()), func() config.Config {
				cfg := config.DefaultConfig()
				harness.ChaosConfig(&cfg)
				cfg.Node, cfg.HTTPAddr, cfg.NATS.URL = "b1", harness.Addr(t), "nats://"+front.addr
				cfg.NATS.RenewEvery = renewEvery // so long a payload counts as too large
				cfg.Servers = []config.ServerConfig{harness.ChaosServer("pbx1", addr)}
				return cfg
			}())
			for _, text := range says.errors {
				front.say(text + "\r\n")
				r.works()
			}
			if n := r.Metric("nats_connections_remade_total"); n < says.remade {
				t.Errorf("%v connections were made anew", n)
			}
		})
	}
}

// A credentials file, or a user, that goes and comes back.
func TestConns_UserRemovedAndGivenBack(t *testing.T) {
	longtest.Mark(t, "each of two refusals has to last for longer than nats.go bears")
	t.Parallel()
	r := startRuled(t, nil, nil)
	r.works()
	for range 2 {
		r.reload(func(o *natsserver.Options) { o.Users = users(nil)[:1] })
		r.readyzIs(503)
		<-time.After(5 * time.Second) // two refusals, and more
		r.reload(func(o *natsserver.Options) { o.Users = users(nil) })
		r.works()
	}
}

// Requests are answered once each, while their subscriptions are exchanged all
// the time.
func TestConns_RequestsAreAnsweredOnceWhileRightsChange(t *testing.T) {
	longtest.Mark(t, "the rights change for nine seconds")
	t.Parallel()
	r := startRuled(t, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	asked, answers := 0, 0
	group.Go(func() {
		nc := harness.Client(t, r.server.ClientURL())
		sub, err := nc.SubscribeSync("_INBOX.all.>")
		if err != nil {
			t.Error(err)
			return
		}
		for ctx.Err() == nil {
			for _, to := range []string{"pbx1", "all", "any"} {
				inbox := fmt.Sprintf("_INBOX.all.%d", asked)
				asked++
				if err := nc.PublishRequest("ami.actions."+to+".CoreStatus", inbox, nil); err != nil {
					t.Error(err)
				}
			}
			<-time.After(time.Millisecond)
		}
		seen := map[string]int{}
		for {
			wait := harness.Patience
			if len(seen) == asked {
				wait = 2 * time.Second // for one too many
			}
			msg, err := sub.NextMsg(wait)
			if err != nil {
				break
			}
			if len(msg.Data) > 0 { // not the end of all's
				seen[msg.Subject]++
			}
		}
		for subject, n := range seen {
			if n != 1 {
				t.Errorf("%s has %d answers", subject, n)
			}
		}
		answers = len(seen)
	})
	// A right that comes and goes has all of them exchanged, again and again.
	for range 5 {
		r.rights(&natsserver.Permissions{Subscribe: harness.Denied("$SRV.PING")})
		<-time.After(300 * time.Millisecond)
		r.rights(nil)
		<-time.After(1500 * time.Millisecond)
	}
	cancel()
	group.Wait()
	if answers != asked {
		t.Errorf("%d requests, %d answers", asked, answers)
	}
}

// A certificate that is exchanged, and its authority with it.
func TestConns_CertificateExchanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := harness.NewAuthority(t), harness.NewAuthority(t)
	ca := filepath.Join(dir, "ca.pem")
	write := func(pem []byte) {
		if err := os.WriteFile(ca, pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(first.PEM)
	r := startRuled(t, func(c *config.Config) { c.NATS.TLSCaFile = ca }, func(o *natsserver.Options) {
		o.TLSConfig, o.TLS, o.TLSTimeout = first.Server(t), true, harness.Patience.Seconds()
	})
	r.works()
	r.reload(func(o *natsserver.Options) { o.TLSConfig = second.Server(t) })
	harness.Relook(t, r.server)
	r.readyzIs(503)
	r.logged("nats not reached", "certificate signed by unknown authority")
	write(second.PEM)
	r.works()
}
