package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
)

// Config is everything that a Bridge needs to know. Start from DefaultConfig.
// The tags name the environment variables, under BRIDGE_, that cmd fills it
// from.
type Config struct {
	// Node is this process's name: subject token and part of each ActionID.
	Node string
	// SubjectPrefix is the first token of every subject.
	SubjectPrefix string `split_words:"true"`
	// HTTPAddr serves /healthz, /readyz, /metrics, /status.json and the page; empty for none.
	HTTPAddr string `split_words:"true"`
	// Web says where the page is served.
	Web Web
	// WebPassword is asked for before the page is shown, if it is set, of any user.
	WebPassword     setting.Secret `split_words:"true"`
	WebPasswordFile string         `split_words:"true"`
	// WebNumbers is how much of callers' numbers the page shows.
	WebNumbers WebNumbers `split_words:"true"`

	// ConnectConcurrency and ConnectRate (a second) bound the connects of all
	// servers together.
	ConnectConcurrency int     `split_words:"true"`
	ConnectRate        float64 `split_words:"true"`
	// OutboxTotalBytes bounds the outboxes of all servers together.
	OutboxTotalBytes setting.Bytes `split_words:"true"`
	// Linger is how long after one event the next waits for others, so that they share a
	// write and an acknowledgement; 0: not at all. What comes alone does not wait.
	Linger time.Duration
	// StatusInterval is how often the state is published when nothing changes.
	StatusInterval time.Duration `split_words:"true"`
	// BesideEvery is how often the stream is looked at for another bridge that publishes the
	// same servers; 0: each StatusInterval, as every bridge but a test's does.
	BesideEvery time.Duration `ignored:"true"`
	// ShutdownTimeout bounds an orderly shutdown.
	ShutdownTimeout time.Duration `split_words:"true"`

	// ActionsAllow names default-refused actions to grant, ActionsDeny actions
	// to refuse on top; both are globs. ActionsRules is what headers must be.
	ActionsAllow setting.Globs `split_words:"true"`
	ActionsDeny  setting.Globs `split_words:"true"`
	ActionsRules policy.Rules  `split_words:"true"`

	// IdempotencyWindow is for how long a request with an Ami-Idempotency-Key is
	// remembered; 0 refuses keys.
	IdempotencyWindow time.Duration `split_words:"true"`

	Delivery Delivery
	// EventHeaders are the headers of events beside the bridge's own.
	EventHeaders EventHeaders `split_words:"true"`
	Audit        Audit
	// AuditMaxAge is how long the audit's records are kept; 0 for ever.
	AuditMaxAge time.Duration `split_words:"true"`
	Streams     Streams

	// State has what is up at each server kept in a bucket. A key of it is written
	// at most once each StateInterval, an end is told there for StateMarkerAge, and
	// all of it takes StateMaxBytes at most.
	State          setting.Switch
	StateInterval  time.Duration `split_words:"true"`
	StateMarkerAge time.Duration `split_words:"true"`
	StateMaxBytes  setting.Bytes `split_words:"true"`

	NATS   NATSConfig
	Stream StreamConfig

	// HA has the bridges of one prefix share the servers: some read each, one leads it.
	HA setting.Switch
	// HASilence is after how long without a word from the leader another takes over.
	HASilence time.Duration `split_words:"true"`
	// HAWeight is this bridge's share of the leads.
	HAWeight int `split_words:"true"`
	// HACopies is by how many bridges each server is read, unless that says otherwise.
	HACopies int `split_words:"true"`

	// Servers are the Asterisks, each with a name of its own.
	Servers []ServerConfig `ignored:"true"`
	// Groups are names for several of them: an Action for a group goes to one
	// that is ready.
	Groups []Group `ignored:"true"`
}

// Group is a name for several servers.
type Group struct {
	Name    string
	Servers []string
}

// NATSConfig says how to reach NATS.
type NATSConfig struct {
	// URL may list several servers, separated by commas.
	URL          string
	CredsFile    string `split_words:"true"`
	User         string
	Password     setting.Secret
	PasswordFile string `split_words:"true"`
	Token        setting.Secret
	TokenFile    string `split_words:"true"`
	TLSCaFile    string `split_words:"true"`
	TLSCertFile  string `split_words:"true"`
	TLSKeyFile   string `split_words:"true"`
	// TLSFirst begins with the TLS handshake, before the server says anything: it
	// must want that too (nats-server's handshake_first).
	TLSFirst setting.Switch `split_words:"true"`
	// RenewEvery is how often subscriptions are made anew, and what NATS has denied is
	// tried, at the least; 0: every natsconn.RenewEvery, which every bridge but a test's has.
	RenewEvery time.Duration `ignored:"true"`
}

// StreamConfig says how the streams are kept.
type StreamConfig struct {
	Replicas int
	MaxAge   time.Duration `split_words:"true"`
	MaxBytes setting.Bytes `split_words:"true"`
	// Forwarded says that the stream of another nats-server takes the events
	// over (sources them): they are kept until it has them, and MaxAge is its.
	Forwarded bool `ignored:"true"`
}

// ServerConfig is one Asterisk and what the bridge does with its events.
type ServerConfig struct {
	amiconn.Config
	// OutboxBytes bounds the events that wait to be published.
	OutboxBytes setting.Bytes `split_words:"true"`
	// EventsAllow and EventsDeny are globs on the events' names; what is not
	// allowed or is denied is counted as filtered.
	EventsAllow setting.Globs `split_words:"true"`
	EventsDeny  setting.Globs `split_words:"true"`
	// ShedFirst are globs on the names of events that go first when the outbox
	// is over 80 %.
	ShedFirst setting.Globs `split_words:"true"`
	// ActionsAllow, ActionsDeny and ActionsRules replace the bridge's for this
	// server, each when it is not empty.
	ActionsAllow setting.Globs `split_words:"true"`
	ActionsDeny  setting.Globs `split_words:"true"`
	ActionsRules policy.Rules  `split_words:"true"`
	// ActionRates bound how many Actions a second are taken.
	ActionRates policy.Rates `split_words:"true"`
	// State is what of this server is kept in the bucket. Its lists are asked for
	// again each StateResync, and StateMaxObjects of it are held at most.
	State           StateKinds
	StateResync     time.Duration `split_words:"true"`
	StateMaxObjects int           `split_words:"true"`
	// HACopies is by how many bridges the server is read; 0: by the bridge's HACopies.
	HACopies int `split_words:"true"`
}

// DefaultServerConfig returns the documented defaults of one server.
func DefaultServerConfig() ServerConfig {
	return ServerConfig{
		Config:      amiconn.DefaultConfig(),
		OutboxBytes: 64 * setting.MiB,
		EventsAllow: setting.Globs{"*"},
		State:       StateKinds{"channels", "bridges", "queues", "parking", "conferences", "extensions"},
		StateResync: 5 * time.Minute, StateMaxObjects: 50_000,
	}
}

// MaxLinger is the longest Linger: more saves nothing and looks like a fault.
const MaxLinger = 100 * time.Millisecond

// DefaultConfig returns the documented defaults. Node, NATS.URL and Servers are
// left to the caller.
func DefaultConfig() Config {
	return Config{
		SubjectPrefix:      "ami",
		HTTPAddr:           "127.0.0.1:9108",
		WebNumbers:         WebNumbersLast4,
		ConnectConcurrency: 5,
		ConnectRate:        50,
		OutboxTotalBytes:   setting.GiB,
		Linger:             5 * time.Millisecond,
		StatusInterval:     5 * time.Second,
		ShutdownTimeout:    20 * time.Second,
		IdempotencyWindow:  2 * time.Minute,
		HASilence:          time.Second,
		HAWeight:           1,
		HACopies:           2,
		State:              true,
		StateInterval:      200 * time.Millisecond,
		StateMarkerAge:     10 * time.Minute,
		StateMaxBytes:      setting.GiB,
		Stream:             StreamConfig{Replicas: 1, MaxAge: 720 * time.Hour, MaxBytes: 10 * setting.GiB},
	}
}

var (
	tokenRule  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	serverRule = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	prefixRule = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

// NoServers is what is wrong with a Config without a server. A bridge that runs may have
// none.
const NoServers = "is missing: name your servers, such as pbx1,pbx2"

// Validate returns every problem of c but those of its servers at once, each
// an *amiconn.SettingError, joined. Each server is checked by its own Validate.
func (c *Config) Validate() error {
	var problems []error
	check := func(ok bool, setting, reason string) {
		if !ok {
			problems = append(problems, &amiconn.SettingError{Setting: setting, Reason: reason})
		}
	}
	check(tokenRule.MatchString(c.Node), "NODE", "wants 1 to 64 of A-Z a-z 0-9 _ -")
	check(prefixRule.MatchString(c.SubjectPrefix), "SUBJECT_PREFIX", "wants subject tokens of A-Z a-z 0-9 _ -, such as ami or acme.ami")
	check(c.ConnectConcurrency >= 1, "CONNECT_CONCURRENCY", "wants 1 or more")
	check(c.ConnectRate > 0, "CONNECT_RATE", "wants connects a second, more than 0")
	check(c.OutboxTotalBytes >= setting.MiB, "OUTBOX_TOTAL_BYTES", "wants at least 1MiB")
	check(c.Linger >= 0 && c.Linger <= MaxLinger, "LINGER", "wants 0 to "+MaxLinger.String())
	check(c.StatusInterval >= 100*time.Millisecond, "STATUS_INTERVAL", "wants at least 100ms")
	check(c.IdempotencyWindow == 0 || c.IdempotencyWindow >= time.Second, "IDEMPOTENCY_WINDOW", "wants at least 1s, or 0 to refuse keys")
	check(c.ShutdownTimeout > 0, "SHUTDOWN_TIMEOUT", "wants a positive duration such as 20s")
	check(c.Stream.Replicas >= 1 && c.Stream.Replicas <= 5, "STREAM_REPLICAS", "wants 1 to 5")
	check(c.AuditMaxAge >= 0, "AUDIT_MAX_AGE", "wants a duration such as 8760h, or 0 for no limit")
	check(c.Stream.MaxAge >= 0, "STREAM_MAX_AGE", "wants a duration such as 720h, or 0 for no limit")
	check(c.HASilence >= 500*time.Millisecond && c.HASilence <= time.Minute, "HA_SILENCE", "wants 500ms to 1m")
	check(c.HAWeight >= 1 && c.HAWeight <= 100, "HA_WEIGHT", "wants 1 to 100")
	check(c.HACopies >= 1 && c.HACopies <= maxCopies, "HA_COPIES", copiesWanted)
	check(c.StateInterval >= 10*time.Millisecond && c.StateInterval <= time.Minute, "STATE_INTERVAL", "wants 10ms to 1m")
	check(c.StateMarkerAge >= time.Second, "STATE_MARKER_AGE", "wants at least 1s")
	check(c.StateMaxBytes >= setting.MiB, "STATE_MAX_BYTES", "wants at least 1MiB")
	check(c.NATS.Password == "" || c.NATS.PasswordFile == "", "NATS_PASSWORD", "and $NATS_PASSWORD_FILE are both set: keep one")
	check(c.NATS.Token == "" || c.NATS.TokenFile == "", "NATS_TOKEN", "and $NATS_TOKEN_FILE are both set: keep one")
	check(c.WebPassword == "" || c.WebPasswordFile == "", "WEB_PASSWORD", "and $WEB_PASSWORD_FILE are both set: keep one")
	check((c.NATS.TLSCertFile == "") == (c.NATS.TLSKeyFile == ""), "NATS_TLS_CERT_FILE", "and $NATS_TLS_KEY_FILE belong together: set both")
	check(len(c.Servers) > 0, "SERVERS", NoServers)
	for _, s := range c.Servers {
		// Else another bridge could claim a key while its Action is out.
		check(c.IdempotencyWindow == 0 || c.IdempotencyWindow > s.LongestTimeout(), "IDEMPOTENCY_WINDOW",
			fmt.Sprintf("wants more than the longest %s of %.40q, or 0 to refuse keys", s.Variable("ACTION_TIMEOUT"), s.Name))
	}
	return errors.Join(append(problems, c.checkNames(), c.checkGroups(), c.checkHA())...)
}

// checkGroups wants groups of servers that are there, with names that no server
// has.
func (c *Config) checkGroups() error {
	var problems []error
	servers := make(map[string]bool, len(c.Servers))
	for _, s := range c.Servers {
		servers[s.Name] = true
	}
	for _, g := range c.Groups {
		setting := "GROUP_" + VariableName(g.Name)
		problem := func(reason string, args ...any) {
			problems = append(problems, &amiconn.SettingError{Setting: setting, Reason: fmt.Sprintf(reason, args...)})
		}
		switch {
		case !serverRule.MatchString(g.Name):
			problem("names no group: wants 1 to 32 of A-Z 0-9 _ after GROUP_")
		case reserved(g.Name) || servers[g.Name]:
			problem("is the name of a server, or reserved: choose another")
		case len(g.Servers) == 0:
			problem("wants names of servers, separated by commas")
		}
		for _, name := range g.Servers {
			if !servers[name] {
				problem("%.40q is not in BRIDGE_SERVERS", name)
			}
		}
	}
	return errors.Join(problems...)
}

// reserved are the names that requests to one of the servers, or to each, have.
func reserved(name string) bool { return name == "any" || name == "all" }

// checkNames wants names that are subject tokens and that stay apart as parts
// of variables' names.
func (c *Config) checkNames() error {
	var problems []error
	seen := make(map[string]string, len(c.Servers))
	for _, s := range c.Servers {
		name := s.Name
		variable := VariableName(name)
		switch {
		case !serverRule.MatchString(name):
			problems = append(problems, &amiconn.SettingError{Setting: "SERVERS",
				Reason: fmt.Sprintf("%.40q is not a server name: wants 1 to 32 of A-Z a-z 0-9 _ -", name)})
		case reserved(name):
			problems = append(problems, &amiconn.SettingError{Setting: "SERVERS", Reason: name + " is reserved: choose another name"})
		case seen[variable] != "":
			problems = append(problems, &amiconn.SettingError{Setting: "SERVERS",
				Reason: fmt.Sprintf("%s and %s share the variables BRIDGE_SERVER_%s_…: rename one", seen[variable], name, variable)})
		}
		seen[variable] = name
	}
	return errors.Join(problems...)
}

// VariableName returns a server's name as it stands in BRIDGE_SERVER_<NAME>_.
func VariableName(server string) string {
	return strings.ToUpper(strings.ReplaceAll(server, "-", "_"))
}

// Validate returns every problem of c at once.
func (c *ServerConfig) Validate() error {
	problems := []error{c.Config.Validate()}
	check := func(ok bool, setting, reason string) {
		if !ok {
			problems = append(problems, &amiconn.SettingError{Setting: setting, Reason: reason})
		}
	}
	check(c.OutboxBytes >= 64*setting.KiB, "OUTBOX_BYTES", "wants at least 64KiB")
	check(c.StateResync >= 10*time.Second, "STATE_RESYNC", "wants at least 10s")
	check(c.StateMaxObjects >= 100, "STATE_MAX_OBJECTS", "wants at least 100")
	check(c.HACopies >= 0 && c.HACopies <= maxCopies, "HA_COPIES", copiesWanted)
	return errors.Join(problems...)
}

// ReadWebPassword returns the page's password as it is now, in its file if one is named.
func (c *Config) ReadWebPassword() (setting.Secret, error) {
	return secretOr(c.WebPassword, "BRIDGE_WEB_PASSWORD_FILE", c.WebPasswordFile)
}

// Secrets returns the secrets of c, as files have them now, some perhaps empty:
// those of the servers and of NATS, its URL's as they are spelled there and in
// plain.
func (c *Config) Secrets() []string {
	// A file that cannot be read has none to keep.
	password, _ := c.NATS.ReadPassword()
	token, _ := c.NATS.ReadToken()
	web, _ := c.ReadWebPassword()
	secrets := []string{string(password), string(token), string(web)}
	for i := range c.Servers {
		secret, _ := c.Servers[i].ReadSecret()
		secrets = append(secrets, string(secret))
	}
	for u := range strings.SplitSeq(c.NATS.URL, ",") {
		if _, rest, ok := strings.Cut(u, "://"); ok {
			u = rest
		}
		userinfo := u[:max(0, strings.LastIndexByte(u, '@'))]
		secret := userinfo // a token, unless there is a user
		if _, password, ok := strings.Cut(userinfo, ":"); ok {
			secret = password
		}
		secrets = append(secrets, secret)
		if plain, err := url.PathUnescape(secret); err == nil {
			secrets = append(secrets, plain)
		}
	}
	return secrets
}

// PolicyOf returns the lists of one server's policy; its own replace the bridge's
// when they are not empty.
func (c *Config) PolicyOf(own *ServerConfig) policy.Lists {
	p := policy.Lists{Allow: c.ActionsAllow, Deny: c.ActionsDeny, Rules: c.ActionsRules, Charset: own.Charset}
	p.Variables.Allow, p.Variables.Deny, p.Variables.Rules = "BRIDGE_ACTIONS_ALLOW", "BRIDGE_ACTIONS_DENY", "BRIDGE_ACTIONS_RULES"
	if len(own.ActionsAllow) > 0 {
		p.Allow, p.Variables.Allow = own.ActionsAllow, own.Variable("ACTIONS_ALLOW")
	}
	if len(own.ActionsDeny) > 0 {
		p.Deny, p.Variables.Deny = own.ActionsDeny, own.Variable("ACTIONS_DENY")
	}
	if len(own.ActionsRules) > 0 {
		p.Rules, p.Variables.Rules = own.ActionsRules, own.Variable("ACTIONS_RULES")
	}
	return p
}
