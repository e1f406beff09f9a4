package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/embedded"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/logging"
)

// asterisk is the address of a simulated one that knows the bridge.
func asterisk(t *testing.T) string {
	t.Helper()
	_, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary}})
	return addr
}

// load reads settings that must be right.
func load(t *testing.T, variables ...string) *env.Settings {
	t.Helper()
	envtest.Set(t, variables...)
	s, problems := env.Load()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return &s
}

func TestServe_RunsOnTheEmbeddedServerAndEndsInOrder(t *testing.T) {
	s := load(t, envtest.One("BRIDGE_SERVER_PBX1_ADDR="+asterisk(t), "BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:0", "BRIDGE_HTTP_ADDR=",
		"BRIDGE_DATA_DIR="+t.TempDir(), "BRIDGE_STREAM_MAX_BYTES=64MiB", "BRIDGE_LOG_LEVEL=debug",
		"BRIDGE_NATS_PASSWORD="+envtest.Canary)...)
	var out bytes.Buffer
	log, sink := logging.New(&out, logging.JSON, s.LogLevel, logging.NewRedactor(redact.Options{}))
	ctx, cancel := context.WithCancel(t.Context())
	up := newUp(zapcore.NewNopCore(), 2, cancel) // ends it once both sessions are up
	err := serve(ctx, s, zap.New(zapcore.NewTee(log.Core(), up)), sink.Lost, idleReloader())
	if err != nil {
		t.Error("serve:", err)
	}
	if err := sink.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if want := `"msg":"bridge started"`; !strings.Contains(out.String(), want) {
		t.Errorf("no %s in the log:\n%s", want, &out)
	}
	if strings.Contains(out.String(), envtest.Canary) {
		t.Errorf("a secret is in the log:\n%s", &out)
	}
}

// up is a zapcore.Core that calls done at the n-th "session up".
type up struct {
	zapcore.Core

	mu   sync.Mutex // protects the following
	left int
	done func()
}

func newUp(core zapcore.Core, n int, done func()) *up { return &up{Core: core, left: n, done: done} }

func (u *up) Enabled(zapcore.Level) bool                 { return true }
func (u *up) With([]zapcore.Field) zapcore.Core          { return u }
func (u *up) Write(zapcore.Entry, []zapcore.Field) error { return nil }

func (u *up) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	u.mu.Lock()
	defer u.mu.Unlock()
	if e.Message == "session up" {
		if u.left--; u.left == 0 {
			u.done()
		}
	}
	return c
}

func TestEmbedded_SaysWhichAddressIsTakenAndWhatToSet(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	core, logs := observer.New(zapcore.DebugLevel)
	_, err = embedded.Start(listener.Addr().String(), t.TempDir(), nil, zap.New(core))
	if err == nil {
		t.Fatal("it listens on a taken port")
	}
	for _, want := range []string{listener.Addr().String(), "BRIDGE_EMBEDDED_NATS_ADDR", "BRIDGE_NATS_URL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %q", want, err)
		}
	}
	if logs.Len() > 0 {
		t.Error("an error is returned or logged, never both:", logs.All())
	}
}

func TestCheck_TellsGoodFromBad(t *testing.T) {
	s := load(t, envtest.One("BRIDGE_SERVER_PBX1_ADDR="+asterisk(t), "BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:0")...)
	srv, err := embedded.Start("127.0.0.1:0", t.TempDir(), nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer embedded.Stop(srv)
	s.Bridge.NATS.URL = srv.ClientURL()
	var out bytes.Buffer
	if !checked(t, &out, s) {
		t.Errorf("a good configuration fails:\n%s", &out)
	}
	for _, want := range []string{"logged in as bridge, 2 sessions", "round trip", "clock skew", "no stream captures ami.actions.>",
		"stream AMI_EVENTS is not there yet", "may subscribe", "are not checked"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	s.Bridge.Servers[0].Secret = "wrong" + envtest.Canary
	s.Bridge.NATS.URL = "nats://127.0.0.1:1"
	out.Reset()
	if checked(t, &out, s) || strings.Count(out.String(), "FAIL") != 2 || strings.Contains(out.String(), envtest.Canary) {
		t.Errorf("a wrong secret and an absent NATS:\n%s", &out)
	}
}
