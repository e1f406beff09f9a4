package amiconn

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Config says how to reach one Asterisk and how patient to be with it. Start
// from DefaultConfig: a zero duration or size is an error, not a default. The
// tags name the environment variables that cmd fills it from.
type Config struct {
	// Name is the server's name: subject token, metric label and part of each
	// ActionID.
	Name string `ignored:"true"`
	// Addr is host:port.
	Addr string
	// Username and Secret are those of manager.conf.
	Username string
	Secret   setting.Secret
	// SecretFile names a file to read Secret from, anew for each login. Exactly
	// one of both is set.
	SecretFile string `split_words:"true"`

	// TLS wraps the connection from its first byte (manager.conf tlsenable).
	TLS setting.Switch
	// TLSCaFile holds the PEM certificates to trust in place of the system's.
	TLSCaFile string `split_words:"true"`
	// TLSServerName is the name that the certificate has to have in place of
	// Addr's host.
	TLSServerName string `split_words:"true"`
	// TLSPinSha256 are the public keys that the server may have.
	TLSPinSha256 Pins `split_words:"true"`
	// TLSLegacy takes TLS 1.0 and 1.1, and key exchange by RSA.
	TLSLegacy setting.Switch `split_words:"true"`
	// Auth is md5 or plain.
	Auth Auth
	// Events is what the event session asks for in its Login.
	Events Events
	// Charset says which text the server's bytes are.
	Charset frames.Charset
	// Sessions is 2, or 1 for a server with allowmultiplelogin=no.
	Sessions int
	// ActionSessions is how many sessions Actions are spread over, 1 to
	// MaxActionSessions; 1 with Sessions=1, which is that one.
	ActionSessions int `split_words:"true"`

	// ConnectTimeout bounds the dial with its TLS handshake, LoginTimeout
	// everything from the banner to the accepted Login.
	ConnectTimeout time.Duration `split_words:"true"`
	LoginTimeout   time.Duration `split_words:"true"`
	// PingInterval is the time between two Pings. A session that reads
	// nothing for ReadTimeout is dead.
	PingInterval time.Duration `split_words:"true"`
	ReadTimeout  time.Duration `split_words:"true"`
	// ActionTimeout is how long an Action may take when its request does not
	// say, and the most that it may ask for.
	ActionTimeout time.Duration `split_words:"true"`
	// ActionTimeouts stand in its place for the Actions that they name.
	ActionTimeouts Timeouts `split_words:"true"`

	// BackoffMin and BackoffMax bound the wait between two connects, which
	// stays short for the first two minutes of an outage. It grows until a
	// session has stayed up for StableAfter.
	BackoffMin  time.Duration `split_words:"true"`
	BackoffMax  time.Duration `split_words:"true"`
	StableAfter time.Duration `split_words:"true"`
	// BreakerFailures rounds that failed in a row open the breaker, for
	// BreakerCooldown at the most; then BreakerProbes sessions may try.
	BreakerFailures int           `split_words:"true"`
	BreakerCooldown time.Duration `split_words:"true"`
	BreakerProbes   int           `split_words:"true"`

	// WriteBufferBytes bounds the Actions that wait to be written to each
	// session; one more is refused as busy.
	WriteBufferBytes setting.Bytes `split_words:"true"`
	// MaxPending bounds the Actions of all sessions that wait for their end or
	// for their reply to be published; one more is refused as busy.
	MaxPending int `split_words:"true"`
	// MaxFrameBytes bounds one frame; a larger one is discarded and counted.
	MaxFrameBytes setting.Bytes `split_words:"true"`

	// Variables are the names by which whoever configures this server knows some of
	// the settings, such as BRIDGE_AMI_SECRET for SECRET. Any other has the Prefix
	// before it.
	Variables map[string]string `ignored:"true"`
	Prefix    string            `ignored:"true"`
}

// Variable returns the name by which a setting is known.
func (c *Config) Variable(setting string) string {
	return cmp.Or(c.Variables[setting], c.Prefix+setting)
}

// MaxActionSessions is the most action sessions to one server. Each is a
// thread of Asterisk's.
const MaxActionSessions = 16

// WriteCapacity is what the write buffers of all action sessions hold together.
func (c *Config) WriteCapacity() setting.Bytes {
	return c.WriteBufferBytes * setting.Bytes(c.ActionSessions)
}

// DefaultConfig returns the documented defaults. Name, Addr, Username and
// Secret are left to the caller.
func DefaultConfig() Config {
	return Config{
		Auth:             AuthMD5,
		Events:           AllEvents,
		Charset:          frames.UTF8,
		Sessions:         2,
		ActionSessions:   1,
		ConnectTimeout:   10 * time.Second,
		LoginTimeout:     5 * time.Second,
		PingInterval:     15 * time.Second,
		ReadTimeout:      30 * time.Second,
		ActionTimeout:    30 * time.Second,
		BackoffMin:       100 * time.Millisecond,
		BackoffMax:       30 * time.Second,
		StableAfter:      10 * time.Second,
		BreakerFailures:  5,
		BreakerCooldown:  30 * time.Second,
		BreakerProbes:    1,
		WriteBufferBytes: 5 * setting.MiB,
		MaxPending:       5000,
		MaxFrameBytes:    setting.MiB,
	}
}

// SettingError says what is wrong with one setting, never its value.
type SettingError struct {
	Setting string // as in the environment: READ_TIMEOUT
	// Reason says what it accepts. Other settings that it names stand behind a $.
	Reason string
}

func (e *SettingError) Error() string {
	return e.Text(func(setting string) string { return setting })
}

var settingRule = regexp.MustCompile(`\$([A-Z][A-Z0-9_]*)`)

// Text returns the error with the settings called as variable says.
func (e *SettingError) Text(variable func(setting string) string) string {
	return variable(e.Setting) + ": " + settingRule.ReplaceAllStringFunc(e.Reason, func(name string) string { return variable(name[1:]) })
}

// Validate returns every problem of c at once, each a *SettingError, joined.
func (c *Config) Validate() error {
	var problems []error
	check := func(ok bool, setting, reason string, args ...any) {
		if !ok {
			problems = append(problems, &SettingError{setting, fmt.Sprintf(reason, args...)})
		}
	}
	host, port, err := net.SplitHostPort(c.Addr)
	check(err == nil && host != "" && port != "", "ADDR", "wants host:port, such as 10.0.0.1:5038")
	check(headerSafe(c.Username), "USERNAME", "wants the user's name in manager.conf")
	check(c.Secret != "" || c.SecretFile != "", "SECRET", "is missing: set it, or $SECRET_FILE")
	check(c.Secret == "" || c.SecretFile == "", "SECRET", "and $SECRET_FILE are both set: keep one")
	check(c.Secret == "" || headerSafe(string(c.Secret)), "SECRET", "has a line break or NUL")
	check(c.Events.Valid(), "EVENTS", wantsEvents)
	check(c.Sessions == 1 || c.Sessions == 2, "SESSIONS", "wants 1 or 2")
	check(c.ActionSessions >= 1 && c.ActionSessions <= MaxActionSessions, "ACTION_SESSIONS", "wants 1 to %d", MaxActionSessions)
	check(c.Sessions != 1 || c.ActionSessions <= 1, "ACTION_SESSIONS", "wants 1 while $SESSIONS is 1")
	const off = "is set while $TLS is off: set $TLS=on too"
	check(bool(c.TLS) || c.TLSCaFile == "", "TLS_CA_FILE", off)
	check(bool(c.TLS) || c.TLSServerName == "", "TLS_SERVER_NAME", off)
	check(bool(c.TLS) || len(c.TLSPinSha256) == 0, "TLS_PIN_SHA256", off)
	check(bool(c.TLS) || !bool(c.TLSLegacy), "TLS_LEGACY", off)
	for _, d := range []struct {
		setting string
		value   time.Duration
	}{
		{"CONNECT_TIMEOUT", c.ConnectTimeout},
		{"LOGIN_TIMEOUT", c.LoginTimeout},
		{"PING_INTERVAL", c.PingInterval},
		{"READ_TIMEOUT", c.ReadTimeout},
		{"ACTION_TIMEOUT", c.ActionTimeout},
		{"BACKOFF_MIN", c.BackoffMin},
		{"BACKOFF_MAX", c.BackoffMax},
		{"STABLE_AFTER", c.StableAfter},
		{"BREAKER_COOLDOWN", c.BreakerCooldown},
	} {
		check(d.value > 0, d.setting, "wants a positive duration such as 500ms, 15s or 2m")
	}
	check(c.BackoffMax >= c.BackoffMin, "BACKOFF_MAX", "wants at least $BACKOFF_MIN (%v)", c.BackoffMin)
	check(c.ReadTimeout > c.PingInterval, "READ_TIMEOUT",
		"wants more than $PING_INTERVAL (%v), or every quiet session dies", c.PingInterval)
	check(c.BreakerFailures >= 1, "BREAKER_FAILURES", "wants 1 or more")
	check(c.BreakerProbes >= 1, "BREAKER_PROBES", "wants 1 or more")
	check(c.MaxPending >= 1, "MAX_PENDING", "wants 1 or more")
	check(c.WriteBufferBytes >= 2*setting.KiB, "WRITE_BUFFER_BYTES", "wants at least 2KiB")
	check(c.MaxFrameBytes >= 4*setting.KiB && c.MaxFrameBytes <= setting.GiB, "MAX_FRAME_BYTES", "wants 4KiB to 1GiB")
	return errors.Join(problems...)
}

// headerSafe reports whether s can stand in an AMI header: not empty and
// without the bytes that end a line or a string (manager.c get_input).
func headerSafe(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if s[i] == '\r' || s[i] == '\n' || s[i] == 0 {
			return false
		}
	}
	return true
}
