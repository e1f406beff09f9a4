package embedded

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
)

const Ready = 10 * time.Second

// Start starts a nats-server with JetStream on addr; port 0 takes any.
// It is a leaf of hub, unless that is nil. Whoever calls it calls Stop.
func Start(addr, dataDir string, hub *Hub, log *zap.Logger) (*server.Server, error) {
	host, port, err := splitAddr(addr)
	if err != nil {
		return nil, err
	}
	if err := Free(addr); err != nil {
		return nil, err
	}
	logger := &serverLog{log: log.Named("nats-server")}
	options := &server.Options{
		ServerName: "ami-nats-bridge", Host: host, Port: port, NoSigs: true,
		JetStream: true, StoreDir: filepath.Join(dataDir, "jetstream"),
	}
	if hub != nil {
		hub.join(options)
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("embedded nats-server: %w", err)
	}
	srv.SetLoggerV2(logger, false, false, false)
	srv.Start()
	if srv.ReadyForConnections(Ready) {
		return srv, nil
	}
	Stop(srv)
	if err := Free(addr); err != nil { // lost a race for the port
		return nil, err
	}
	return nil, fmt.Errorf("embedded nats-server on %s with its data in %s: %w", addr, dataDir, logger.cause())
}

// Stop shuts srv down, and waits until it is.
func Stop(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("address of the embedded nats-server: %w", err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		return "", 0, fmt.Errorf("address of the embedded nats-server: port %.20q is not a number", text)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// Free reports why addr cannot be listened on, and what to do about it.
func Free(addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err == nil {
		return listener.Close()
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is taken, so the embedded nats-server cannot listen there: set "+
			"BRIDGE_EMBEDDED_NATS_ADDR to a free address, or BRIDGE_NATS_URL to use the server that is there", addr)
	}
	return fmt.Errorf("embedded nats-server: %w (set BRIDGE_EMBEDDED_NATS_ADDR, or BRIDGE_NATS_URL to use another server)", err)
}

// serverLog passes the embedded server's warnings and errors on.
type serverLog struct {
	log *zap.Logger

	mu    sync.Mutex // protects the following
	fatal string
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("nats-server warned", zap.String("cause", fmt.Sprintf(format, v...)))
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error("nats-server failed", zap.String("cause", fmt.Sprintf(format, v...)))
}

// Fatalf keeps the text for the error that Start returns.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = fmt.Sprintf(format, v...)
}

func (l *serverLog) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == "" {
		return errors.New("not ready in time")
	}
	return errors.New(l.fatal)
}
