package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
)

// validConfig is one without a problem.
func validConfig() Config {
	cfg := DefaultConfig()
	cfg.Node = "b1"
	for _, name := range []string{"pbx1", "pbx-2"} {
		own := DefaultServerConfig()
		own.Name, own.Addr, own.Username, own.Secret = name, "h:1", "u", "s3cret"
		cfg.Servers = append(cfg.Servers, own)
	}
	cfg.Groups = []Group{{Name: "sales", Servers: []string{"pbx1", "pbx-2"}}}
	return cfg
}

// Each limit of a setting is where it is said to be: just within is no problem,
// just beyond is one that names the setting.
func TestConfig_HasLimits(t *testing.T) {
	long := strings.Repeat("x", 32)
	for name, test := range map[string]struct {
		change func(*Config)
		want   string // setting of the only problem, or none
	}{
		"the defaults":        {func(*Config) {}, ""},
		"no node":             {func(c *Config) { c.Node = "" }, "NODE"},
		"a node of 64":        {func(c *Config) { c.Node = long + long }, ""},
		"a node of 65":        {func(c *Config) { c.Node = long + long + "x" }, "NODE"},
		"a node with a dot":   {func(c *Config) { c.Node = "a.b" }, "NODE"},
		"a prefix of two":     {func(c *Config) { c.SubjectPrefix = "acme.ami" }, ""},
		"a prefix that ends":  {func(c *Config) { c.SubjectPrefix = "acme." }, "SUBJECT_PREFIX"},
		"a prefix of all":     {func(c *Config) { c.SubjectPrefix = "*" }, "SUBJECT_PREFIX"},
		"no connects":         {func(c *Config) { c.ConnectConcurrency = 0 }, "CONNECT_CONCURRENCY"},
		"no connects ever":    {func(c *Config) { c.ConnectRate = 0 }, "CONNECT_RATE"},
		"outboxes of 1 MiB":   {func(c *Config) { c.OutboxTotalBytes = setting.MiB }, ""},
		"outboxes of less":    {func(c *Config) { c.OutboxTotalBytes = setting.MiB - 1 }, "OUTBOX_TOTAL_BYTES"},
		"status each 100 ms":  {func(c *Config) { c.StatusInterval = 100 * time.Millisecond }, ""},
		"status each 99 ms":   {func(c *Config) { c.StatusInterval = 99 * time.Millisecond }, "STATUS_INTERVAL"},
		"no time to stop":     {func(c *Config) { c.ShutdownTimeout = 0 }, "SHUTDOWN_TIMEOUT"},
		"five replicas":       {func(c *Config) { c.Stream.Replicas = 5 }, ""},
		"six replicas":        {func(c *Config) { c.Stream.Replicas = 6 }, "STREAM_REPLICAS"},
		"no replica":          {func(c *Config) { c.Stream.Replicas = 0 }, "STREAM_REPLICAS"},
		"an audit for ever":   {func(c *Config) { c.AuditMaxAge = 0 }, ""},
		"an audit of before":  {func(c *Config) { c.AuditMaxAge = -1 }, "AUDIT_MAX_AGE"},
		"events of before":    {func(c *Config) { c.Stream.MaxAge = -1 }, "STREAM_MAX_AGE"},
		"state every 10ms":    {func(c *Config) { c.StateInterval = 10 * time.Millisecond }, ""},
		"state all the time":  {func(c *Config) { c.StateInterval = 0 }, "STATE_INTERVAL"},
		"state now and then":  {func(c *Config) { c.StateInterval = time.Minute + 1 }, "STATE_INTERVAL"},
		"ends for a moment":   {func(c *Config) { c.StateMarkerAge = time.Second - 1 }, "STATE_MARKER_AGE"},
		"a long linger":       {func(c *Config) { c.Linger = MaxLinger + 1 }, "LINGER"},
		"no room for state":   {func(c *Config) { c.StateMaxBytes = setting.MiB - 1 }, "STATE_MAX_BYTES"},
		"two passwords":       {func(c *Config) { c.NATS.Password, c.NATS.PasswordFile = "a", "b" }, "NATS_PASSWORD"},
		"two tokens":          {func(c *Config) { c.NATS.Token, c.NATS.TokenFile = "a", "b" }, "NATS_TOKEN"},
		"no key":              {func(c *Config) { c.NATS.TLSCertFile = "a" }, "NATS_TLS_CERT_FILE"},
		"no certificate":      {func(c *Config) { c.NATS.TLSKeyFile = "a" }, "NATS_TLS_CERT_FILE"},
		"no servers":          {func(c *Config) { c.Servers, c.Groups = nil, nil }, "SERVERS"},
		"a server of 32":      {func(c *Config) { c.Servers[0].Name, c.Groups = long, nil }, ""},
		"a server of 33":      {func(c *Config) { c.Servers[0].Name, c.Groups = long+"x", nil }, "SERVERS"},
		"a server called any": {func(c *Config) { c.Servers[0].Name, c.Groups = "any", nil }, "SERVERS"},
		"a server called all": {func(c *Config) { c.Servers[0].Name, c.Groups = "all", nil }, "SERVERS"},
		"one variable of two": {func(c *Config) { c.Servers[0].Name, c.Groups = "PBX_2", nil }, "SERVERS"},
		"a group of none":     {func(c *Config) { c.Groups[0].Servers = nil }, "GROUP_SALES"},
		"a group of others":   {func(c *Config) { c.Groups[0].Servers[0] = "pbx9" }, "GROUP_SALES"},
		"a group called any":  {func(c *Config) { c.Groups[0].Name = "any" }, "GROUP_ANY"},
		"a group called so":   {func(c *Config) { c.Groups[0].Name = "pbx1" }, "GROUP_PBX1"},
		"a group of 33":       {func(c *Config) { c.Groups[0].Name = long + "x" }, "GROUP_" + strings.ToUpper(long) + "X"},
		"keys for no time":    {func(c *Config) { c.IdempotencyWindow = 0 }, ""},
		"keys as an Action":   {func(c *Config) { c.IdempotencyWindow = c.Servers[1].ActionTimeout }, "IDEMPOTENCY_WINDOW"},
		"keys for longer":     {func(c *Config) { c.IdempotencyWindow = c.Servers[1].ActionTimeout + 1 }, ""},
		"keys as one Action": {func(c *Config) {
			c.Servers[0].ActionTimeouts = amiconn.Timeouts{{Pattern: "Originate", Value: c.IdempotencyWindow}}
		}, "IDEMPOTENCY_WINDOW"},
		"keys for a moment": {func(c *Config) {
			c.IdempotencyWindow = time.Second - 1
			c.Servers[0].ActionTimeout, c.Servers[1].ActionTimeout = time.Millisecond, time.Millisecond
		}, "IDEMPOTENCY_WINDOW"},
	} {
		cfg := validConfig()
		test.change(&cfg)
		var got []string
		for problem := range problemsOf(cfg.Validate()) {
			got = append(got, problem.Setting)
		}
		if got = slices.Compact(got); strings.Join(got, " ") != test.want { // of several servers perhaps
			t.Errorf("%s: problems of %q, want %q", name, got, test.want)
		}
	}
	own := DefaultServerConfig()
	own.Name, own.Addr, own.Username, own.Secret = "pbx1", "h:1", "u", "s3cret"
	for bytes, want := range map[setting.Bytes]bool{64 * setting.KiB: true, 64*setting.KiB - 1: false} {
		if own.OutboxBytes = bytes; (own.Validate() == nil) != want {
			t.Errorf("an outbox of %d bytes: %v", bytes, own.Validate())
		}
	}
	for name, test := range map[string]struct {
		change func(*ServerConfig)
		want   string
	}{
		"as it is":           {func(*ServerConfig) {}, ""},
		"lists all the time": {func(c *ServerConfig) { c.StateResync = 10*time.Second - 1 }, "STATE_RESYNC"},
		"100 objects":        {func(c *ServerConfig) { c.StateMaxObjects = 100 }, ""},
		"99 objects":         {func(c *ServerConfig) { c.StateMaxObjects = 99 }, "STATE_MAX_OBJECTS"},
	} {
		own := DefaultServerConfig()
		own.Name, own.Addr, own.Username, own.Secret = "pbx1", "h:1", "u", "s3cret"
		test.change(&own)
		var got strings.Builder
		for problem := range problemsOf(own.Validate()) {
			got.WriteString(problem.Setting)
		}
		if got.String() != test.want {
			t.Errorf("%s: problems of %q, want %q", name, got.String(), test.want)
		}
	}
}

func TestStateKinds_AreWords(t *testing.T) {
	for text, want := range map[string]string{
		"channels": "channels", " Queues , channels,queues,": "queues,channels", "none": "none", "devices,presence": "devices,presence",
	} {
		var k StateKinds
		if err := k.UnmarshalText([]byte(text)); err != nil || k.String() != want {
			t.Errorf("%q is %v, %v, want %s", text, k, err, want)
		}
	}
	for _, text := range []string{"channel", "calls,queues", "none,queues"} {
		k := StateKinds{"queues"}
		if err := k.UnmarshalText([]byte(text)); err == nil || k.String() != "queues" {
			t.Errorf("%q is %v, %v", text, k, err)
		}
	}
}

// problemsOf are the SettingErrors in err.
func problemsOf(err error) func(func(*amiconn.SettingError) bool) {
	return func(yield func(*amiconn.SettingError) bool) {
		var walk func(error) bool
		walk = func(err error) bool {
			switch err := err.(type) {
			case interface{ Unwrap() []error }:
				return !slices.ContainsFunc(err.Unwrap(), func(one error) bool { return !walk(one) })
			case *amiconn.SettingError:
				return yield(err)
			}
			return true
		}
		walk(err)
	}
}

// Whatever is a secret of the configuration is known as one: those of files as
// well, and those in a URL as they are spelled there and as they are meant.
func TestConfig_KnowsItsSecrets(t *testing.T) {
	file := func(content string) string {
		name := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	cfg := validConfig()
	cfg.NATS.URL = "nats://u:p%2Fw@h1:4222, tls://t0ken@h2,u3:pw3@h3,nats://h4"
	cfg.NATS.Password, cfg.NATS.TokenFile = "n4ts", file("t0ken-of-file\n")
	cfg.Servers[1].Secret, cfg.Servers[1].SecretFile = "", file(" s3cret-of-file \r\n")
	got := cfg.Secrets()
	for _, want := range []string{"n4ts", "t0ken-of-file", "s3cret", "s3cret-of-file", "p%2Fw", "p/w", "t0ken", "pw3"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not among the secrets %q", want, got)
		}
	}
	cfg.NATS.Password, cfg.NATS.PasswordFile = "", file("n4ts-of-file")
	cfg.NATS.Token, cfg.NATS.TokenFile = "t0ken-itself", ""
	for _, want := range []string{"n4ts-of-file", "t0ken-itself"} {
		if got := cfg.Secrets(); !slices.Contains(got, want) {
			t.Errorf("%q is not among the secrets %q", want, got)
		}
	}
}

// Each choice is read as it is printed, and nothing else is.
func TestConfig_ChoicesReadWhatTheyPrint(t *testing.T) {
	var (
		delivery Delivery
		headers  EventHeaders
		audit    Audit
		streams  Streams
	)
	for _, choice := range []struct {
		read  func([]byte) error
		print func() string
		words []string
	}{
		{delivery.UnmarshalText, func() string { return delivery.String() }, []string{"jetstream", "core"}},
		{headers.UnmarshalText, func() string { return headers.String() }, []string{"ami", "cloudevents"}},
		{audit.UnmarshalText, func() string { return audit.String() }, []string{"on", "strict", "off"}},
		{streams.UnmarshalText, func() string { return streams.String() }, []string{"manage", "verify", "off"}},
	} {
		for i, word := range choice.words {
			if choice.print() != choice.words[0] && i == 0 {
				t.Errorf("the first is %s, want %s", choice.print(), word)
			}
			if err := choice.read([]byte(word)); err != nil || choice.print() != word {
				t.Errorf("%s is read as %s, %v", word, choice.print(), err)
			}
		}
		last := len(choice.words) - 1
		wants := "wants " + strings.Join(choice.words[:last], ", ") + " or " + choice.words[last]
		for _, word := range []string{"", "On", strings.ToUpper(choice.words[1])} {
			if err := choice.read([]byte(word)); err == nil || err.Error() != wants {
				t.Errorf("%q: %v", word, err)
			}
		}
	}
}
