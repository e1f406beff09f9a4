//go:build unix

package conns

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// operated is a bridge to pbx1 on a server in operator mode: its account and
// users are JWTs. The account is one that an operator changes and deletes as nsc
// does, by requests to the system account.
type operated struct {
	*ruled
	operator, account, user nkeys.KeyPair
	claims                  *jwt.AccountClaims // the account's, as it is to be
	creds                   string             // the bridge's file
	sys                     *nats.Conn
}

func startOperated(t *testing.T) *operated {
	t.Helper()
	o := &operated{ruled: &ruled{Running: &harness.Running{T: t}}, creds: filepath.Join(t.TempDir(), "bridge.creds")}
	o.operator, o.account, o.user = o.key(nkeys.CreateOperator), o.key(nkeys.CreateAccount), o.key(nkeys.CreateUser)
	system := o.key(nkeys.CreateAccount)
	operator := jwt.NewOperatorClaims(o.public(o.operator))
	operator.SystemAccount = o.public(system)
	o.claims = jwt.NewAccountClaims(o.public(o.account))
	o.claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	resolver, err := natsserver.NewDirAccResolver(t.TempDir(), 0, time.Minute, natsserver.HardDelete)
	if err != nil {
		t.Fatal(err)
	}
	for _, claims := range []*jwt.AccountClaims{o.claims, jwt.NewAccountClaims(o.public(system))} {
		if err := resolver.Store(claims.Subject, o.signed(claims, o.operator)); err != nil {
			t.Fatal(err)
		}
	}
	o.server = natstest.Serve(t, func(opts *natsserver.Options) {
		o.signed(operator, o.operator) // so that it has its times
		opts.TrustedOperators, opts.AccountResolver, opts.SystemAccount = []*jwt.OperatorClaims{operator}, resolver, o.public(system)
	})
	o.writeCreds(nil)
	o.sys = o.client(system)
	var addr string
	o.sim, addr = harness.Sim(t, amisim.Config{NotBooted: true})
	cfg := config.DefaultConfig()
	harness.ChaosConfig(&cfg)
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.NATS.CredsFile = "b1", harness.Addr(t), o.server.ClientURL(), o.creds
	cfg.Servers = []config.ServerConfig{harness.ChaosServer("pbx1", addr)}
	o.run(t, o.client(o.account), cfg)
	return o
}

func (o *operated) key(create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	o.T.Helper()
	pair, err := create()
	if err != nil {
		o.T.Fatal(err)
	}
	return pair
}

func (o *operated) public(pair nkeys.KeyPair) string {
	o.T.Helper()
	public, err := pair.PublicKey()
	if err != nil {
		o.T.Fatal(err)
	}
	return public
}

func (o *operated) signed(claims jwt.Claims, by nkeys.KeyPair) string {
	o.T.Helper()
	text, err := claims.Encode(by)
	if err != nil {
		o.T.Fatal(err)
	}
	return text
}

// credsOf is a credentials file of user, of account.
func (o *operated) credsOf(user, account nkeys.KeyPair, change func(*jwt.UserClaims)) []byte {
	o.T.Helper()
	claims := jwt.NewUserClaims(o.public(user))
	if change != nil {
		change(claims)
	}
	seed, err := user.Seed()
	if err != nil {
		o.T.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(o.signed(claims, account), seed)
	if err != nil {
		o.T.Fatal(err)
	}
	return text
}

// writeCreds writes the bridge's file.
func (o *operated) writeCreds(change func(*jwt.UserClaims)) {
	o.T.Helper()
	if err := os.WriteFile(o.creds, o.credsOf(o.user, o.account, change), 0o600); err != nil {
		o.T.Fatal(err)
	}
}

// expiring has a user's JWT last that long.
func expiring(after time.Duration) func(*jwt.UserClaims) {
	return func(c *jwt.UserClaims) { c.Expires = time.Now().Add(after).Unix() }
}

// all gives a user every right, whatever the account's default is.
func all(c *jwt.UserClaims) { c.Pub.Allow.Add(">"); c.Sub.Allow.Add(">") }

func (o *operated) removeCreds() {
	o.T.Helper()
	if err := os.Remove(o.creds); err != nil {
		o.T.Fatal(err)
	}
}

// client is another user of account, who comes back whatever happens.
func (o *operated) client(account nkeys.KeyPair) *nats.Conn {
	o.T.Helper()
	nc, err := nats.Connect(o.server.ClientURL(), nats.UserCredentialBytes(o.credsOf(o.key(nkeys.CreateUser), account, all)),
		nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.IgnoreAuthErrorAbort(), nats.Timeout(harness.Patience))
	if err != nil {
		o.T.Fatal(err)
	}
	o.T.Cleanup(nc.Close)
	return nc
}

// limit pushes the account with other claims.
func (o *operated) limit(change func(*jwt.AccountClaims)) {
	o.T.Helper()
	claims := *o.claims
	change(&claims)
	o.ask("$SYS.REQ.CLAIMS.UPDATE", o.signed(&claims, o.operator))
}

// remove deletes the account.
func (o *operated) remove() {
	o.T.Helper()
	claims := jwt.NewGenericClaims(o.public(o.operator))
	claims.Data["accounts"] = []string{o.claims.Subject}
	o.ask("$SYS.REQ.CLAIMS.DELETE", o.signed(claims, o.operator))
}

func (o *operated) ask(subject, body string) {
	o.T.Helper()
	answer, err := o.sys.Request(subject, []byte(body), harness.Patience)
	if err != nil {
		o.T.Fatalf("%s: %v", subject, err)
	}
	o.T.Logf("%s: %s", subject, answer.Data)
}
