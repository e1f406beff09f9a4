package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
)

const (
	prefix       = "BRIDGE"
	amiPrefix    = "BRIDGE_AMI"
	serverPrefix = "BRIDGE_SERVER_"
	groupPrefix  = "BRIDGE_GROUP_"
)

// process is the part of the environment that the bridge itself does not need
// to know.
type process struct {
	Servers          names
	LogLevel         zapcore.Level `split_words:"true"`
	LogFormat        logFormat     `split_words:"true"`
	LogRedactKeys    globList      `split_words:"true"`
	LogRedactPattern pattern       `split_words:"true"`
	EmbeddedNATSAddr string        `split_words:"true"`
	DataDir          string        `split_words:"true"`
	NATSLeafURL      string        `split_words:"true"`
	NATSLeafDomain   string        `split_words:"true"`
}

// settings is the whole environment.
type settings struct {
	process
	bridge bridge.Config
	// base holds what BRIDGE_AMI_ says of every server.
	base bridge.ServerConfig
	// refused names the variables that could not be read; their defaults stand.
	refused []string
}

func defaultSettings() settings {
	s := settings{
		process: process{
			EmbeddedNATSAddr: "127.0.0.1:4222",
			DataDir:          "./data",
		},
		bridge: bridge.DefaultConfig(),
		base:   bridge.DefaultServerConfig(),
	}
	s.bridge.Node = nodeName()
	return s
}

var notNode = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// nodeName is the host's name as a subject token; empty if the host has none.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return notNode.ReplaceAllString(host[:min(len(host), 64)], "-")
}

// loadSettings reads the environment. The settings are usable only if there is
// no problem; each problem is one line that names its variable, and never
// holds the value of one.
func loadSettings() (settings, []string) {
	s := defaultSettings()
	l := &loader{set: environment()}
	defer l.hide()()
	l.process(prefix, &s.process)
	l.process(prefix, &s.bridge)
	l.process(amiPrefix, &s.base)
	for _, name := range s.Servers {
		s.bridge.Servers = append(s.bridge.Servers, l.server(s.base, name))
	}
	s.bridge.Groups = l.groups()
	l.check(&s)
	l.unknown(&s)
	s.refused = l.bad
	slices.Sort(l.problems)
	return s, slices.Compact(l.problems)
}

// loader collects what is wrong with the environment.
type loader struct {
	set      map[string]string // every BRIDGE_ variable
	bad      []string          // those that could not be read
	problems []string
}

func environment() map[string]string {
	set := make(map[string]string)
	for _, entry := range os.Environ() {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, prefix+"_") {
			set[name] = value
		}
	}
	return set
}

// hide takes the variables out of the environment whose value is empty, for
// orchestrators cannot leave one out, except where empty means something. The
// function that it returns puts everything back, also what process set aside.
func (l *loader) hide() func() {
	for name, value := range l.set {
		if value == "" && !emptyMeansSomething(name) {
			os.Unsetenv(name)
		}
	}
	return func() {
		for name, value := range l.set {
			os.Setenv(name, value)
		}
	}
}

func emptyMeansSomething(name string) bool {
	return name == prefix+"_HTTP_ADDR" || strings.HasSuffix(name, "_EVENTS_DENY") || strings.HasSuffix(name, "_SHED_FIRST") ||
		strings.HasSuffix(name, "_ACTIONS_ALLOW") || strings.HasSuffix(name, "_ACTIONS_DENY") ||
		strings.HasSuffix(name, "_ACTIONS_RULES") || strings.HasSuffix(name, "_ACTION_TIMEOUTS") || strings.HasSuffix(name, "_ACTION_RATES")
}

func (l *loader) problem(variable, reason string) {
	l.problems = append(l.problems, variable+": "+reason)
}

// process fills spec from the variables under prefix. envconfig stops at the
// first that it cannot read, so that one is noted and set aside.
func (l *loader) process(prefix string, spec any) {
	for {
		err := envconfig.Process(prefix, spec)
		if err == nil {
			return
		}
		refused, ok := errors.AsType[*envconfig.ParseError](err)
		if !ok {
			l.problem(prefix, "cannot be read")
			return
		}
		l.problem(refused.KeyName, accepts(refused))
		l.bad = append(l.bad, refused.KeyName)
		os.Unsetenv(refused.KeyName)
	}
}

// accepts says what the variable of e wants. The text of a library's own error
// holds the value, which may be a secret in the wrong place.
func accepts(e *envconfig.ParseError) string {
	switch e.TypeName {
	case "time.Duration":
		return "wants a duration such as 500ms, 15s or 2m"
	case "int":
		return "wants a whole number"
	case "float64":
		return "wants a number"
	case "frames.Charset":
		return "wants utf-8 or latin1"
	case "zapcore.Level":
		return "wants debug, info, warn or error"
	}
	return e.Err.Error()
}

// server reads what one server has of its own. A secret of its own, in either
// form, takes the place of the common one in the other form.
func (l *loader) server(base bridge.ServerConfig, name string) bridge.ServerConfig {
	s := base
	s.Name = name
	own := serverPrefix + bridge.VariableName(name)
	if cmp.Or(l.set[own+"_SECRET"], l.set[own+"_SECRET_FILE"]) != "" {
		s.Secret, s.SecretFile = "", ""
	}
	l.process(own, &s)
	return s
}

// groups reads the variables that name several servers. A group is called as
// its variable, in lower case.
func (l *loader) groups() (groups []bridge.Group) {
	for variable, value := range l.set {
		name, ok := strings.CutPrefix(variable, groupPrefix)
		if !ok || value == "" || foreign(variable, value) {
			continue
		}
		var members names
		if err := members.Decode(value); err != nil {
			l.problem(variable, err.Error())
			continue
		}
		groups = append(groups, bridge.Group{Name: strings.ToLower(name), Servers: members})
	}
	slices.SortFunc(groups, func(a, b bridge.Group) int { return strings.Compare(a.Name, b.Name) })
	return groups
}

// check validates what was read and resolves the secrets in files.
func (l *loader) check(s *settings) {
	l.note(s.bridge.Validate(), func(setting string) string { return prefix + "_" + setting })
	l.secretFile(prefix+"_NATS_PASSWORD_FILE", &s.bridge.NATS.PasswordFile, &s.bridge.NATS.Password)
	l.secretFile(prefix+"_NATS_TOKEN_FILE", &s.bridge.NATS.TokenFile, &s.bridge.NATS.Token)
	for i := range s.bridge.Servers {
		server := &s.bridge.Servers[i]
		where := func(setting string) string { return l.where(server.Name, setting) }
		l.note(server.Validate(), where)
		l.secretFile(where("SECRET_FILE"), &server.SecretFile, &server.Secret)
	}
	if urls := s.bridge.NATS.URL; urls != "" && !validURLs(urls) {
		l.problem(prefix+"_NATS_URL", wantsURLs)
	}
	l.leaf(s)
	if s.LogLevel < zapcore.DebugLevel || s.LogLevel > zapcore.ErrorLevel {
		l.problem(prefix+"_LOG_LEVEL", "wants debug, info, warn or error")
	}
	if _, _, err := net.SplitHostPort(s.EmbeddedNATSAddr); err != nil {
		l.problem(prefix+"_EMBEDDED_NATS_ADDR", "wants host:port, such as 127.0.0.1:4222")
	}
}

// where is the variable that gave setting its value for server: its own,
// unless only the common one is set.
func (l *loader) where(server, setting string) string {
	own := serverPrefix + bridge.VariableName(server) + "_" + setting
	common := amiPrefix + "_" + setting
	if l.set[own] == "" && l.set[common] != "" {
		return common
	}
	return own
}

// note adds the SettingErrors in err, but not those of a variable that could
// not be read: its default is in place, and the problem is known.
func (l *loader) note(err error, variable func(setting string) string) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			l.note(one, variable)
		}
		return
	}
	wrong, ok := errors.AsType[*amiconn.SettingError](err)
	if !ok {
		return
	}
	if name := variable(wrong.Setting); !slices.Contains(l.bad, name) {
		l.problem(name, wrong.Reason)
	}
}

// secretFile reads the file whose name is in *file into *secret and clears
// *file. With both given Validate has complained.
func (l *loader) secretFile(variable string, file *string, secret *amiconn.Secret) {
	if *file == "" || *secret != "" {
		return
	}
	content, err := os.ReadFile(*file)
	if err != nil {
		if cause, ok := errors.AsType[*os.PathError](err); ok {
			err = cause.Err
		}
		l.problem(variable, fmt.Sprintf("its file cannot be read: %v", err))
		return
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	switch {
	case text == "":
		l.problem(variable, "its file is empty")
	case strings.ContainsAny(text, "\r\n\x00"):
		l.problem(variable, "its file holds more than one line, or NUL")
	default:
		*secret, *file = amiconn.Secret(text), ""
	}
}
