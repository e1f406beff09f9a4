//go:build unix

package conns

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// whole wants all of so many events in the stream, by one session, without a
// number missing and without a Gap.
func (r *ruled) whole(t *testing.T, events uint64) {
	r.T.Helper()
	if b := r.Drained("pbx1", events); b.Received != events || b.Published != events {
		r.T.Errorf("of %d events %+v", events, b)
	}
	got := harness.CheckStory(t, r.Story("pbx1"))
	if uint64(len(got.Events)) != events || got.Missing != 0 || len(got.Gaps) != 0 || got.Sessions != 1 {
		r.T.Errorf("%d of %d events, %d missing, %d gaps, %d sessions", len(got.Events), events, got.Missing, len(got.Gaps), got.Sessions)
	}
}

// A credentials file that is gone changes nothing until NATS is connected to
// anew, and then only until it is there again.
func TestConns_CredsFileGoneAndBack(t *testing.T) {
	t.Parallel()
	o := startOperated(t)
	o.works()
	o.removeCreds()
	o.works() // nobody asks for it
	cut(t, o.server)
	o.readyzIs(503)
	o.sim.Emit("Event", "Held")
	o.logged("nats not reached", "BRIDGE_NATS_CREDS_FILE: its file cannot be read: no such file")
	o.writeCreds(nil)
	o.works()
	o.whole(t, 4)
}

// A user's JWT that expires, and is renewed in the file: afterwards, and before.
func TestConns_UserJWTExpires(t *testing.T) {
	longtest.Mark(t, "a JWT lives for five seconds, twice")
	t.Parallel()
	o := startOperated(t)
	o.works()
	o.writeCreds(expiring(5 * time.Second))
	cut(t, o.server)
	o.logged("nats error", "auth") // it expired, or a slow machine came with it too late
	o.logged("nats not reached", "the JWT in BRIDGE_NATS_CREDS_FILE expired at ")
	o.readyzIs(503)
	o.sim.Emit("Event", "Held")
	o.writeCreds(nil)
	o.works()
	o.writeCreds(expiring(5 * time.Second))
	cut(t, o.server)
	<-time.After(2 * time.Second) // it is connected with that one
	o.writeCreds(nil)
	<-time.After(5 * time.Second) // and that has expired
	o.works()
	o.whole(t, 4)
}

// A user's JWT that NATS takes elsewhere, at other times, or no more: nats-server says of each that the
// authorization is violated, the bridge what the JWT says.
func TestConns_UserJWTRefused(t *testing.T) {
	t.Parallel()
	o := startOperated(t)
	o.works()
	for says, change := range map[string]func(*jwt.UserClaims){
		"is good only for connections of the types WEBSOCKET, MQTT": func(c *jwt.UserClaims) { c.AllowedConnectionTypes.Add("WEBSOCKET", "MQTT") },
		"is good only from 192.0.2.0/24":                            func(c *jwt.UserClaims) { c.Src.Add("192.0.2.0/24") },
		"is good only at 00:00:00-00:00:01 (UTC)": func(c *jwt.UserClaims) {
			c.Times, c.Locale = []jwt.TimeRange{{Start: "00:00:00", End: "00:00:01"}}, "UTC"
		},
		"is good from 2099-01-01T00:00:00Z on": func(c *jwt.UserClaims) { c.NotBefore = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC).Unix() },
	} {
		o.writeCreds(change)
		cut(t, o.server)
		o.logged("nats not reached", "the JWT in BRIDGE_NATS_CREDS_FILE "+says)
	}
	o.writeCreds(nil)
	o.works()
	o.limit(func(c *jwt.AccountClaims) { c.RevokeAt("*", time.Now()) })
	cut(t, o.server)
	o.logged("nats not reached", "the JWT in BRIDGE_NATS_CREDS_FILE, signed by "+o.claims.Subject+": its account has revoked the user")
	o.limit(func(*jwt.AccountClaims) {})
	o.works()
	o.whole(t, 3)
}

// A key by which the account signs its users is rotated: who has a JWT of the old one is told to get another.
func TestConns_SigningKeyRotated(t *testing.T) {
	t.Parallel()
	o := startOperated(t)
	signer := o.key(nkeys.CreateAccount)
	o.claims.SigningKeys.Add(o.public(signer))
	o.limit(func(*jwt.AccountClaims) {})
	account := o.account
	o.account = signer
	o.writeCreds(func(c *jwt.UserClaims) { c.IssuerAccount = o.claims.Subject })
	cut(t, o.server)
	o.works()
	o.claims.SigningKeys = nil
	o.limit(func(*jwt.AccountClaims) {})
	o.logged("nats not reached", "signed by "+o.public(signer))
	o.readyzIs(503)
	o.sim.Emit("Event", "Held")
	o.account = account
	o.writeCreds(nil)
	o.works()
	o.whole(t, 3)
}

// Rights that come with the user's JWT are those of the next connect: once the
// file has more there is one.
func TestConns_UserJWTWithoutRights(t *testing.T) {
	t.Parallel()
	for name, deny := range map[string]func(*jwt.UserClaims){
		"to hear requests":  func(c *jwt.UserClaims) { c.Sub.Deny.Add("ami.actions.>") },
		"to publish events": func(c *jwt.UserClaims) { c.Pub.Deny.Add("ami.events.>") },
		"to answer":         func(c *jwt.UserClaims) { c.Pub.Deny.Add("_INBOX.>") },
		"all":               func(c *jwt.UserClaims) { c.Pub.Deny.Add(">"); c.Sub.Deny.Add(">") },
	} {
		t.Run(name, func(t *testing.T) {
			if name == "to answer" {
				longtest.Mark(t, "what was denied has to last, and is tried anew at times")
			}
			t.Parallel()
			o := startOperated(t)
			o.works()
			o.writeCreds(deny)
			cut(t, o.server)
			harness.Eventually(t, "both connections are back", func() bool { return len(harness.OwnConns(t, o.server)) == 2 })
			o.sim.Emit("Event", "Held")
			if _, err := o.Client.Request("ami.actions.pbx1.CoreStatus", nil, 3*time.Second); err == nil && name != "to publish events" {
				t.Error("a request is answered")
			}
			<-time.After(3 * time.Second)
			o.writeCreds(nil)
			o.works()
			o.whole(t, 3)
		})
	}
}

// The account, changed by its operator and put back.
func TestConns_AccountLimitedAndGivenBack(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*jwt.AccountClaims){
		"connections":   func(c *jwt.AccountClaims) { c.Limits.Conn = 1 },
		"subscriptions": func(c *jwt.AccountClaims) { c.Limits.Subs = 4 },
		"payload":       func(c *jwt.AccountClaims) { c.Limits.Payload = 150 },
		"JetStream":     func(c *jwt.AccountClaims) { c.Limits.JetStreamLimits = jwt.JetStreamLimits{} },
		"storage":       func(c *jwt.AccountClaims) { c.Limits.DiskStorage = 1 },
		"tier": func(c *jwt.AccountClaims) {
			c.Limits.JetStreamLimits, c.Limits.JetStreamTieredLimits = jwt.JetStreamLimits{}, jwt.JetStreamTieredLimits{"R3": c.Limits.JetStreamLimits}
		},
		"rights":  func(c *jwt.AccountClaims) { c.DefaultPermissions.Sub.Deny.Add(">") },
		"expired": func(c *jwt.AccountClaims) { c.Expires = time.Now().Add(2 * time.Second).Unix() },
		"revoked": func(c *jwt.AccountClaims) { c.RevokeAt("*", time.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			if slices.Contains([]string{"subscriptions", "payload", "JetStream", "rights"}, name) {
				longtest.Mark(t, "what was denied has to last, and is tried anew at times")
			}
			t.Parallel()
			o := startOperated(t)
			o.works()
			o.limit(change)
			cut(t, o.server)
			o.sim.Emit("Event", "Held")
			if state := map[string]string{"JetStream": "no_jetstream", "storage": "full", "tier": "full"}[name]; state != "" {
				o.Stands("AMI_EVENTS", state)
			} else {
				o.readyzIs(503)
			}
			<-time.After(3 * time.Second)
			o.limit(func(*jwt.AccountClaims) {})
			if name == "revoked" {
				o.writeCreds(nil)
			}
			o.works()
			if name == "payload" {
				if b := o.Drained("pbx1", 3); b.Published+b.Dropped["oversize"] != 3 || b.Published < 2 {
					t.Errorf("%+v", b)
				}
				harness.CheckStory(t, o.Story("pbx1"))
				return
			}
			o.whole(t, 3)
		})
	}
}

// The account is deleted, and made again.
func TestConns_AccountDeletedAndGivenBack(t *testing.T) {
	longtest.Mark(t, "an account is gone for five seconds")
	t.Parallel()
	o := startOperated(t)
	o.works()
	o.remove()
	o.readyzIs(503)
	o.sim.Emit("Event", "Held")
	<-time.After(5 * time.Second)
	o.limit(func(*jwt.AccountClaims) {})
	o.works()
	o.whole(t, 3)
}

// Rights to publish, taken for long enough that every try waits its longest, and
// given back.
func TestConns_PublishRightsTakenForLong(t *testing.T) {
	longtest.Mark(t, "each try has to wait its longest, 20 s")
	t.Parallel()
	for name, test := range map[string]struct {
		denied []string
		stream string // that is told of
	}{
		"one event":   {[]string{"ami.events.pbx1.Held"}, "AMI_EVENTS"},
		"one record":  {[]string{"ami.audit.pbx1.CoreStatus"}, "AMI_AUDIT"},
		"all records": {[]string{"ami.audit.>"}, "AMI_AUDIT"},
		"answers":     {[]string{"_INBOX.>"}, ""},
		"status":      {[]string{"ami.status.>", "ami.nodes.>"}, ""},
		"JetStream":   {[]string{"$JS.>"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRuled(t, nil, nil)
			r.works()
			r.rights(&natsserver.Permissions{Publish: harness.Denied(test.denied...)})
			r.sim.Emit("Event", "Held")
			_, _ = r.Client.Request("ami.actions.pbx1.CoreStatus", nil, time.Second) // its record is not taken, or its answer
			if test.stream != "" {
				r.Stands(test.stream, "no_permission")
			}
			<-time.After(20 * time.Second)
			r.rights(nil)
			r.works()
			r.Stands("AMI_AUDIT", "ok")
			r.whole(t, 3)
		})
	}
}

// A stream in another account, of which the bridge's own can ask nothing, takes events: after a
// start as well, when they wait for it to say which was the last.
func TestConns_AStreamInAnotherAccount(t *testing.T) {
	longtest.Mark(t, "it is asked for the last event for 20 s")
	t.Parallel()
	s := harness.NATSOf(t, fmt.Sprintf(`
listen: 127.0.0.1:%d
jetstream: {store_dir: %q}
accounts {
  STORE: {jetstream: enabled, users: [{user: admin, password: a}], exports: [{service: "ami.>", response_type: stream}]}
  BRIDGE: {users: [{user: bridge, password: b}], imports: [{service: {account: STORE, subject: "ami.>"}}]}
}`, harness.Port(t), t.TempDir()))
	js := harness.JetStream(t, harness.Client(t, "nats://admin:a@"+s.Addr().String()))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: streams.EventStream, Subjects: []string{"ami.events.>"}, AllowDirect: true, AllowBatchPublish: true,
	}); err != nil {
		t.Fatal(err)
	}
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, "nats://bridge:b@"+s.Addr().String(), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	sim.Emit("Event", "Tick")
	r.Stands(streams.EventStream, "unseen")
	if b := r.Drained("pbx1", 1); b.Published != 1 {
		t.Errorf("%+v", b)
	}
}
