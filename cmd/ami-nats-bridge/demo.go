package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/embedded"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/logging"
)

type demoCmd struct {
	For  time.Duration `help:"End by itself after this time." placeholder:"10s"`
	Rate float64       `default:"3" help:"Calls a second at each server."`
}

const (
	demoPort   = 4222 // where tail and call look if not told otherwise
	demoHTTP   = 9108 // where status --http does
	demoUser   = "bridge"
	demoSecret = "demo"
)

var demoServers = []string{"pbx1", "pbx2"}

// Run shows the bridge at work until a signal or --for.
func (c *demoCmd) Run(std stdio) error {
	if c.Rate <= 0 || c.For < 0 {
		return &exitError{code: 2, text: "ami-nats-bridge: --rate and --for want more than 0"}
	}
	ctx, _, stop := untilEnd(context.Background(), os.Exit, true)
	defer stop()
	log, sink := logging.New(std.err, logging.Console, zapcore.WarnLevel, newRedactor(new(env.Settings)))
	err := c.demo(ctx, std, log)
	flush, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	return errors.Join(err, sink.Close(flush))
}

// demo starts everything, each thing before what needs it, and ends it the
// other way round: the calls, the bridge, the Asterisks, NATS.
func (c *demoCmd) demo(ctx context.Context, std stdio, log *zap.Logger) error {
	dir, err := os.MkdirTemp("", "ami-nats-bridge-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	srv, err := demoNATS(demoPort, dir, log)
	if err != nil {
		return err
	}
	defer embedded.Stop(srv)
	counter, err := newCounter(srv)
	if err != nil {
		return err
	}
	defer counter.nc.Close()
	sims, err := startSims()
	if err != nil {
		return err
	}
	defer sims.stop()
	page, err := freeAddr(demoHTTP)
	if err != nil {
		return err
	}
	b, err := bridge.New(demoConfig(srv.ClientURL(), page, sims.addrs),
		bridge.Deps{Logger: log, Version: version(), InProcess: srv})
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	bridgeCtx, endBridge := context.WithCancel(context.WithoutCancel(ctx))
	defer endBridge()
	ended := make(chan error, 1)
	group.Go(func() { ended <- b.Run(bridgeCtx) })
	select {
	case <-b.Ready():
		introduce(std, srv.ClientURL(), page)
		if c.For > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, c.For)
			defer cancel()
		}
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	group.Go(func() { counter.show(ctx, std.out) })
	sims.traffic(ctx, c.Rate) // until ctx ends
	endBridge()
	group.Wait()
	err = <-ended
	if flushed := counter.nc.Flush(); flushed != nil {
		err = errors.Join(err, flushed)
	}
	counter.summary(std.out)
	return err
}

// demoNATS starts a server on the first free port from first on.
func demoNATS(first int, dir string, log *zap.Logger) (*server.Server, error) {
	var problem error
	for port := first; port < first+100; port++ {
		srv, err := embedded.Start(fmt.Sprintf("127.0.0.1:%d", port), dir, nil, log)
		if err == nil {
			return srv, nil
		}
		problem = err
	}
	return nil, problem
}

// freeAddr returns the first address of this machine that is free, from the port first on.
func freeAddr(first int) (string, error) {
	var problem error
	for port := first; port < first+100; port++ {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		listener, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, listener.Close()
		}
		problem = err
	}
	return "", fmt.Errorf("no address for the page: %w", problem)
}

func demoConfig(url, page string, addrs []string) config.Config {
	cfg := config.DefaultConfig()
	cfg.Node, cfg.NATS.URL, cfg.HTTPAddr = "demo", url, page
	cfg.Stream.MaxBytes, cfg.StateMaxBytes, cfg.StatusInterval = 256*setting.MiB, 64*setting.MiB, time.Second
	for i, name := range demoServers {
		s := config.DefaultServerConfig()
		s.Name, s.Addr, s.Username, s.Secret = name, addrs[i], demoUser, demoSecret
		cfg.Servers = append(cfg.Servers, s)
	}
	return cfg
}

// simulated are the demo's Asterisks.
type simulated struct {
	addrs []string
	sims  []*amisim.Server
	end   context.CancelFunc
	group sync.WaitGroup
}

func startSims() (*simulated, error) {
	s := new(simulated)
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	for range demoServers {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.stop()
			return nil, err
		}
		sim := amisim.New(amisim.Config{Users: map[string]string{demoUser: demoSecret}, WriteTimeout: 10 * time.Second})
		s.addrs, s.sims = append(s.addrs, listener.Addr().String()), append(s.sims, sim)
		s.group.Go(func() { _ = sim.Serve(ctx, listener) }) // ends only when ctx does
	}
	return s, nil
}

// traffic makes calls at every server until ctx ends.
func (s *simulated) traffic(ctx context.Context, rate float64) {
	var group sync.WaitGroup
	for i, sim := range s.sims {
		group.Go(func() {
			if sim.WaitEventSessions(ctx, 1) == nil {
				_ = sim.RunTraffic(ctx, amisim.Traffic{CallsPerSecond: rate, Seed: uint64(i)})
			}
		})
	}
	group.Wait()
	<-ctx.Done()
}

func (s *simulated) stop() {
	s.end()
	s.group.Wait()
}

// introduce says what there is to see, and ways to see it.
func introduce(std stdio, url, page string) {
	name, where := std.name, ""
	if strings.ContainsAny(name, " '\"$\\") {
		name = "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	if elsewhere := os.Getenv("BRIDGE_NATS_URL") + os.Getenv("NATS_URL") + os.Getenv("NATS_CONTEXT"); url != nats.DefaultURL || elsewhere != "" {
		where = " --nats " + url
	}
	if url != nats.DefaultURL {
		fmt.Fprintf(std.out, "127.0.0.1:%d is taken.\n", demoPort)
	}
	fmt.Fprintf(std.out, `Two simulated Asterisks, %s, are making calls; NATS is at %s.

  http://%-27[5]s  the page: servers, queues, agents, calls

  ami.events.<server>.<Event>     what happens at each server
  ami.actions.<server>.<Action>   requests, answered by the server
  ami.status.<server>.…           the state of the bridge's connections and buffers

Try in another terminal:

  %[3]s top%[4]s
  %[3]s tail%[4]s 'ami.events.>'
  %[3]s call%[4]s pbx1 QueueStatus

Ctrl-C ends it.

`, strings.Join(demoServers, " and "), url, name, where, page)
}
