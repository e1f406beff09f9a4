package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/embedded"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/logging"
)

// flushTimeout is how long the end waits for whoever reads the log.
const flushTimeout = 2 * time.Second

type runCmd struct{}

// Help is printed below the command's line in its own help.
func (*runCmd) Help() string {
	return "See 'ami-nats-bridge config' for the variables. SIGINT or SIGTERM ends it in order, a second one at once. SIGHUP makes it read " +
		"BRIDGE_ENV_FILE, secrets and certificates again; if its standard input is a terminal, it ends in order."
}

// Run runs the bridge until a signal comes.
func (*runCmd) Run(std stdio) error {
	ctx, hangup, stop := untilEnd(context.Background(), os.Exit, isTerminal(os.Stdin))
	defer stop()
	s, problems := env.Load()
	if err := configError(problems); err != nil {
		return err
	}
	// The log's reader may die; the bridge goes on and counts the lines.
	signal.Ignore(syscall.SIGPIPE)
	r := &reloader{hangup: hangup, redactor: newRedactor(&s), level: zap.NewAtomicLevelAt(s.LogLevel)}
	log, sink := logging.New(std.err, s.LogFormat, r.level, r.redactor)
	err := serve(ctx, &s, log, sink.Lost, r)
	if err != nil {
		log.Error("bridge ended", zap.Error(err))
	}
	flush, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if errors.Join(err, sink.Close(flush)) != nil {
		return &exitError{code: 1} // the log has the cause
	}
	return nil
}

// manyServers is from how many servers on half of the usual garbage may gather beside
// what stays: an event makes next to none, so that with much that stays a collection
// is rare anyway, and what gathers would be a third of the memory. With few servers it
// is not much, and an embedded nats-server makes more of it.
const manyServers = 100

// serve runs the bridge that s describes, with an embedded nats-server where
// it names none, until ctx ends. Meanwhile r has the settings read again.
func serve(ctx context.Context, s *env.Settings, log *zap.Logger, lost func() uint64, r *reloader) (err error) {
	r.start(s, log)
	logStart(s, log)
	if len(s.Bridge.Servers) >= manyServers && s.Bridge.NATS.URL != "" && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	deps := bridge.Deps{Logger: log, Registerer: registry, Version: version(), LogLost: lost, Learn: r.redactor.Add}
	if s.Bridge.NATS.URL == "" {
		hub, err := s.Hub()
		if err != nil {
			return err
		}
		srv, err := embedded.Start(s.EmbeddedNATSAddr, s.DataDir, hub, log)
		if err != nil {
			return err
		}
		defer embedded.Stop(srv)
		s.Bridge.NATS.URL, deps.InProcess = srv.ClientURL(), srv
		if hub != nil {
			// What it has of credentials is for the hub.
			s.Bridge.NATS, s.Bridge.Stream.Forwarded = config.NATSConfig{URL: srv.ClientURL()}, true
			deps.Leaf = func() bool { return srv.NumLeafNodes() > 0 }
		}
		log.Info("embedded nats-server started", zap.String("addr", srv.ClientURL()))
	}
	b, err := bridge.New(s.Bridge, deps)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer end()
	group.Go(func() { r.run(ctx, b) })
	return b.Run(ctx)
}

// logStart writes what a reader of the log needs to know first.
func logStart(s *env.Settings, log *zap.Logger) {
	log.Info("bridge started", zap.String("version", version()), zap.String("node", s.Bridge.Node),
		zap.Stringer("servers", s.Servers), zap.String("nats", env.RedactURLs(s.Bridge.NATS.URL)),
		zap.Stringer("delivery", s.Bridge.Delivery))
}

// newRedactor knows the secrets of s besides what every redactor knows.
func newRedactor(s *env.Settings) *logging.Redactor {
	common, _ := s.Base.ReadSecret() // check has complained
	return logging.NewRedactor(redact.Options{
		Known: append(s.Bridge.Secrets(), string(common)),
		Names: s.LogRedactKeys.Match, Pattern: s.LogRedactPattern.Regexp,
	})
}
