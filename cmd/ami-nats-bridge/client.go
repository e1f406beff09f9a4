package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
)

// natsFlags are those of the commands that use a running bridge.
type natsFlags struct {
	NATS    string `name:"nats" short:"s" placeholder:"URL" help:"NATS server. Without it the first of these that is set: BRIDGE_NATS_URL, --context or NATS_CONTEXT, NATS_URL; else the embedded server."`
	Context string `placeholder:"NAME" help:"A context of the nats command line."`
	Inbox   string `placeholder:"PREFIX" help:"Where the user may subscribe to answers; _INBOX, or as the context says, if not given."`
}

// place is a NATS to connect to.
type place struct {
	nats config.NATSConfig
	opts []nats.Option
	api  string // where JetStream answers; "" is as usual
	from string // what said so
}

// client is a connection to NATS. Whoever has it closes the connection.
type client struct {
	*nats.Conn
	cfg  config.Config
	api  string // where JetStream answers
	from string // what said where NATS is
}

// connect connects as the flags and the environment say. The rest of the
// environment may be wrong or missing.
func (f *natsFlags) connect(name string, opts ...nats.Option) (*client, error) {
	s, problems := env.Load()
	for _, p := range problems {
		if strings.HasPrefix(p, env.Prefix+"_NATS_") || strings.HasPrefix(p, env.Prefix+"_SUBJECT_PREFIX") || strings.HasPrefix(p, env.EnvFile) {
			return nil, &exitError{code: 2, text: p}
		}
	}
	where, err := f.where(&s)
	if err != nil {
		return nil, err
	}
	cfg := s.Bridge
	cfg.NATS = where.nats
	all := append([]nats.Option{nats.CustomInboxPrefix(cmp.Or(f.Inbox, "_INBOX"))}, where.opts...)
	if f.Inbox != "" {
		all = append(all, nats.CustomInboxPrefix(f.Inbox))
	}
	nc, err := natsconn.Connect(cfg, name, append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("%w at %s (%s): is the bridge or NATS running there?", err, env.RedactURLs(cfg.NATS.URL), where.from)
	}
	return &client{Conn: nc, cfg: cfg, api: cmp.Or(where.api, "$JS.API"), from: where.from}, nil
}

// outages are options by which a command that goes on says on w that NATS is gone, and what that
// means for what it shows; once, that NATS is there and refuses it; and that it is back, which back,
// if there is one, hears too.
func outages(w io.Writer, means string, back chan<- struct{}) []nats.Option {
	refused := new(atomic.Bool)
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // else the command ends
				fmt.Fprintf(w, "ami-nats-bridge: NATS is gone (%v): %s\n", err, means)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			var network *net.OpError // there is nobody: that is said
			if !errors.As(err, &network) && !errors.Is(err, io.EOF) && !refused.Swap(true) {
				fmt.Fprintf(w, "ami-nats-bridge: NATS does not let it in: %v; it is tried again\n", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			refused.Store(false)
			fmt.Fprintln(w, "ami-nats-bridge: NATS is back")
			select {
			case back <- struct{}{}:
			default:
			}
		}),
	}
}

// where is the NATS that the flags and the environment name, in the order of the
// flag's help. What names it has the credentials as well, so that no server gets
// those of another.
func (f *natsFlags) where(s *env.Settings) (place, error) {
	context, from := f.Context, "--context "+f.Context
	if context == "" {
		context = os.Getenv("NATS_CONTEXT")
		from = "NATS_CONTEXT=" + context
	}
	switch bridge := s.Bridge.NATS; {
	case f.NATS != "" && f.Context != "":
		return place{}, usage("--nats and --context both say where NATS is: give either")
	case f.NATS != "":
		p := place{nats: bridge, from: "--nats"}
		if bridge.Kinds() == (config.NATSKinds{}) {
			p.nats = natsEnvironment()
		}
		p.nats.URL = f.NATS
		return p.checked()
	case bridge.URL != "" && f.Context != "":
		return place{}, usage("--context has no effect while BRIDGE_NATS_URL is set: unset it, or give --nats")
	case bridge.URL != "":
		return place{nats: bridge, from: "BRIDGE_NATS_URL"}, nil
	case context != "":
		return contextPlace(context, from)
	case os.Getenv("NATS_URL") != "":
		return place{nats: natsEnvironment(), from: "NATS_URL"}.checked()
	default:
		if s.NATSLeafURL != "" { // the credentials are for the hub
			bridge = config.NATSConfig{}
		}
		bridge.URL = "nats://" + dialled(s.EmbeddedNATSAddr)
		return place{nats: bridge, from: "the bridge's embedded server"}, nil
	}
}

// natsEnvironment is what the nats command line takes from the environment.
func natsEnvironment() config.NATSConfig {
	return config.NATSConfig{
		URL: os.Getenv("NATS_URL"), CredsFile: os.Getenv("NATS_CREDS"), User: os.Getenv("NATS_USER"),
		Password: setting.Secret(os.Getenv("NATS_PASSWORD")), Token: setting.Secret(os.Getenv("NATS_TOKEN")),
		TLSCaFile: os.Getenv("NATS_CA"), TLSCertFile: os.Getenv("NATS_CERT"), TLSKeyFile: os.Getenv("NATS_KEY"),
	}
}

// checked is p if NATS can parse each of its URLs: the error of one that it cannot
// would quote it, password and all.
func (p place) checked() (place, error) {
	if !env.ValidURLs(p.nats.URL) {
		return place{}, usage("%s: %s", p.from, env.WantsURLs)
	}
	return p, nil
}

// dialled is the address at which a server that listens on addr is reached from
// here.
func dialled(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "0" {
		return "127.0.0.1:4222"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// remote reports whether the server that was dialled may be on another machine.
func remote(dialled string) bool {
	u, err := url.Parse(dialled)
	if err != nil {
		return true
	}
	return !loopback(u.Hostname())
}

// loopback reports whether host is surely this machine.
func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
