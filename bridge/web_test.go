package bridge

import (
	"net"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// The page is on a loopback address unless it is asked for, and elsewhere shows callers' numbers only to who
// knows a password.
func TestAccess(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		web      config.Web
		at       string
		password string
		off      bool
		numbers  view.Numbers
	}{
		{config.WebAuto, "127.0.0.1", "", false, view.NumbersLast4},
		{config.WebAuto, "::1", "", false, view.NumbersLast4},
		{config.WebAuto, "10.0.0.1", "", true, ""},
		{config.WebAuto, "0.0.0.0", "secret", true, ""},
		{config.WebAuto, "::", "", true, ""},
		{config.WebOn, "0.0.0.0", "", false, view.NumbersNone},
		{config.WebOn, "10.0.0.1", "", false, view.NumbersNone},
		{config.WebOn, "10.0.0.1", "secret", false, view.NumbersLast4},
		{config.WebOn, "127.0.0.1", "", false, view.NumbersLast4},
		{config.WebOff, "127.0.0.1", "", true, ""},
		{config.WebOff, "10.0.0.1", "secret", true, ""},
	} {
		cfg := config.DefaultConfig()
		cfg.Node, cfg.NATS.URL, cfg.HTTPAddr, cfg.Web = "b1", "nats://127.0.0.1:1", "", test.web
		server := config.DefaultServerConfig()
		server.Name, server.Addr, server.Username, server.Secret = "pbx1", "127.0.0.1:1", "u", "s"
		cfg.Servers, cfg.WebPassword = []config.ServerConfig{server}, "secret"
		if test.password == "" {
			cfg.WebPassword = ""
		}
		b, err := New(cfg, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		o, err := b.access(&b.cfg, &net.TCPAddr{IP: net.ParseIP(test.at), Port: 9108})
		if err != nil || (o.Off != "") != test.off || !test.off && o.Numbers != test.numbers || o.Password != test.password {
			t.Errorf("%s at %s: off %q, numbers %s, %v", test.web, test.at, o.Off, o.Numbers, err)
		}
	}
}
