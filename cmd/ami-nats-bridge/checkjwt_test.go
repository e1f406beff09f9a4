package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// creds is a credentials file of a user with such a JWT.
func creds(t *testing.T, change func(*jwt.UserClaims)) (path string) {
	t.Helper()
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewUserClaims(public)
	change(claims)
	text, err := claims.Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	file, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "bridge.creds")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A JWT that expires, or is good at some times alone, is well now.
func TestCheck_SaysWhenTheJWTExpires(t *testing.T) {
	url := natstest.Serve(t, nil).ClientURL()
	for want, change := range map[string]func(*jwt.UserClaims){
		"": func(*jwt.UserClaims) {},
		"note the JWT in BRIDGE_NATS_CREDS_FILE expires at 2099-12-31T23:59:59Z": func(c *jwt.UserClaims) {
			c.Expires = time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
		},
		"note the JWT in BRIDGE_NATS_CREDS_FILE is good only from 127.0.0.0/8, at 08:00:00-18:00:00 (nats-server's time): NATS ends": func(c *jwt.UserClaims) {
			c.Src, c.Times = jwt.CIDRList{"127.0.0.0/8"}, []jwt.TimeRange{{Start: "08:00:00", End: "18:00:00"}}
		},
	} {
		s := load(t, envtest.One("BRIDGE_NATS_URL="+url, "BRIDGE_NATS_CREDS_FILE="+creds(t, change), "BRIDGE_HTTP_ADDR=")...)
		var said []string
		for _, f := range checkNATS(t.Context(), s, noTime).found {
			if strings.Contains(f.Text, "JWT") {
				said = append(said, fmt.Sprintf("%s %s", f.Verdict, f.Text))
			}
		}
		if got := strings.Join(said, "\n"); (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}

// What the JWT does not let the bridge publish is said beforehand: nobody is asked, for there are no operators here.
func TestCheck_SaysWhatTheJWTDoesNotLetItPublish(t *testing.T) {
	url := natstest.Serve(t, nil).ClientURL()
	own := []string{"ami.events.>", "ami.status.>", "ami.nodes.>", "ami.audit.>", "$KV.>", "_R_.>"}
	for want, change := range map[string]func(*jwt.UserClaims){
		"note permissions to publish (ami.events.>,": func(*jwt.UserClaims) {},
		"ok the JWT in BRIDGE_NATS_CREDS_FILE lets":  func(c *jwt.UserClaims) { c.Pub.Allow.Add(own...) },
		"FAIL the JWT in BRIDGE_NATS_CREDS_FILE does not let the bridge publish to ami.audit.pbx1.x": func(c *jwt.UserClaims) {
			c.Pub.Allow.Add(own...)
			c.Pub.Deny.Add("ami.audit.pbx1.>")
		},
		"FAIL the JWT in BRIDGE_NATS_CREDS_FILE does not let the bridge publish to _INBOX.>, by": func(c *jwt.UserClaims) {
			c.Pub.Allow.Add(own[:5]...)
		},
		"ok the JWT in BRIDGE_NATS_CREDS_FILE lets the bridge publish what": func(c *jwt.UserClaims) {
			c.Pub.Allow.Add(own[:5]...)
			c.Resp = &jwt.ResponsePermission{MaxMsgs: -1, Expires: time.Hour}
		},
		"FAIL the JWT in BRIDGE_NATS_CREDS_FILE does not let the bridge publish to ami.nodes.b1, $KV.AMI_STATE.x, $KV.AMI_IDEMPOTENCY.x, ami.status.pbx1.x, ami.audit.pbx1.x": func(c *jwt.UserClaims) {
			c.Pub.Allow.Add("ami.events.*.*", "_INBOX.>")
		},
	} {
		s := load(t, envtest.One("BRIDGE_NATS_URL="+url, "BRIDGE_NATS_CREDS_FILE="+creds(t, change), "BRIDGE_HTTP_ADDR=", "BRIDGE_NODE=b1")...)
		var said []string
		for _, f := range checkNATS(t.Context(), s, noTime).found {
			if strings.Contains(f.Text, "publish") {
				said = append(said, fmt.Sprintf("%s %s", f.Verdict, f.Text))
			}
		}
		if got := strings.Join(said, "\n"); !strings.HasPrefix(got, want) {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}
