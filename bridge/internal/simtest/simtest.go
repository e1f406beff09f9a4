package simtest

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Server is the configuration of a server of that name at addr, with the user that
// Start lets in. What is to wait does, on a slow machine too.
func Server(name, addr string) config.ServerConfig {
	server := config.DefaultServerConfig()
	server.Name, server.Addr, server.Username, server.Secret = name, addr, "u", "s3cret"
	server.ActionTimeout = 5 * natstest.Patience
	return server
}

// Start runs a simulated Asterisk for each of the names until the test ends. It
// returns them by name, and their configurations in the order of names.
func Start(t *testing.T, names ...string) (map[string]*amisim.Server, []config.ServerConfig) {
	t.Helper()
	sims, servers := make(map[string]*amisim.Server), []config.ServerConfig(nil)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	t.Cleanup(func() { cancel(); group.Wait() })
	for _, name := range names {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		sim := amisim.New(amisim.Config{Users: map[string]string{"u": "s3cret"}, NotBooted: true, WriteTimeout: natstest.Patience})
		group.Go(func() { _ = sim.Serve(ctx, listener) })
		sims[name], servers = sim, append(servers, Server(name, listener.Addr().String()))
	}
	return sims, servers
}
