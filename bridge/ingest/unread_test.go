package ingest

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// Asterisk lets in a user who may read nothing, and says Success: that FullyBooted does not come is all that shows it.
func TestUnread_ALoginWithoutFullyBootedIsLogged(t *testing.T) {
	p := newPlay(t)
	core, logged := observer.New(zap.WarnLevel)
	p.s.log = zap.New(core)
	after := func(what string, want int, steps ...string) {
		t.Helper()
		for _, step := range steps {
			p.step(step)
			p.s.LogUnread(p.now.Add(-time.Minute))
		}
		if n := logged.FilterMessageSnippet("no FullyBooted came").Len(); n != want {
			t.Errorf("%s: it is logged %d times, want %d", what, n, want)
		}
	}
	after("at first", 0, "up", "59s")
	after("a minute later", 1, "2s", "10m")
	after("behind another login", 1, "lost", "up", "10m")
	after("another event", 1, "Newchannel", "10m")
	after("once it has come", 1, "lost", "up", "FullyBooted", "10m")
	after("without it again", 2, "lost", "up", "10m")
	after("while nothing is up", 2, "lost", "10m")
	cfg := config.DefaultServerConfig()
	cfg.Events = amiconn.Events("call,agent")
	p.s.SetFilter(&cfg)
	after("where it is not asked for", 2, "up", "FullyBooted", "lost", "up", "10m")
}
