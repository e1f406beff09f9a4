package env

import (
	"cmp"
	"errors"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/logging"
)

const (
	Prefix = "BRIDGE"
	// NoServers is the problem of settings without a server.
	NoServers = Prefix + "_SERVERS: " + config.NoServers

	amiPrefix    = "BRIDGE_AMI"
	ServerPrefix = "BRIDGE_SERVER_"
	groupPrefix  = "BRIDGE_GROUP_"
)

// process is the part of the environment that the bridge itself does not need
// to know.
type process struct {
	Servers          names
	EnvFile          string         `split_words:"true"`
	LogLevel         zapcore.Level  `split_words:"true"`
	LogFormat        logging.Format `split_words:"true"`
	LogRedactKeys    setting.Globs  `split_words:"true"`
	LogRedactPattern pattern        `split_words:"true"`
	EmbeddedNATSAddr string         `split_words:"true"`
	DataDir          string         `split_words:"true"`
	NATSLeafURL      string         `split_words:"true"`
	NATSLeafDomain   string         `split_words:"true"`
}

// Settings is the whole environment.
type Settings struct {
	process
	Bridge config.Config
	// Base holds what BRIDGE_AMI_ says of every server.
	Base config.ServerConfig
	// refused names the variables that could not be read; their defaults stand.
	refused []string
	// Given are the variables that are set, as they are written, and from where:
	// "set" in the environment, or the variable that names their file.
	Given map[string]Given
	// Hidden are variables of that file which the environment has otherwise.
	Hidden []string
}

// Given is a variable that is set.
type Given struct{ Value, from string }

// Defaults returns the settings of an empty environment.
func Defaults() Settings {
	s := Settings{
		process: process{
			EmbeddedNATSAddr: "127.0.0.1:4222",
			DataDir:          "./data",
		},
		Bridge: config.DefaultConfig(),
		Base:   config.DefaultServerConfig(),
	}
	s.Bridge.Node = nodeName()
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

// Load reads the environment, and the file of more variables that it may
// name. The settings are usable only if there is no problem; each problem is one
// line that names its variable, and never holds the value of one. It must not be
// called by two goroutines at once: envconfig reads the process's environment.
func Load() (Settings, []string) {
	s := Defaults()
	l := newLoader()
	defer l.impose()()
	l.process(Prefix, &s.process)
	l.process(Prefix, &s.Bridge)
	l.process(amiPrefix, &s.Base)
	s.Base.Prefix = amiPrefix + "_"
	for _, name := range s.Servers {
		s.Bridge.Servers = append(s.Bridge.Servers, l.server(s.Base, name))
	}
	s.Bridge.Groups = l.groups()
	l.check(&s)
	l.unknown(&s)
	s.refused, s.Given, s.Hidden = l.bad, l.given(), l.hidden()
	if l.file == nil && l.env[EnvFile] != "" {
		l.problems = l.problems[:1] // the others come of that one
	}
	slices.Sort(l.problems)
	return s, slices.Compact(l.problems)
}

// loader collects what is wrong with the environment.
type loader struct {
	env      map[string]string // every BRIDGE_ variable of the environment
	file     map[string]string // those of the file that it names
	set      map[string]string // those in force: the environment wins
	bad      []string          // those that could not be read
	problems []string
}

func newLoader() *loader {
	l := &loader{env: environment(), set: make(map[string]string)}
	if name := l.env[EnvFile]; name != "" {
		l.file, l.problems = readEnvFile(name)
	}
	for _, given := range []map[string]string{l.file, l.env} {
		for name, value := range given {
			if value != "" || emptyMeansSomething(name) {
				l.set[name] = value
			}
		}
	}
	return l
}

func environment() map[string]string {
	set := make(map[string]string)
	for _, entry := range os.Environ() {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, Prefix+"_") {
			set[name] = value
		}
	}
	return set
}

// impose makes the process's environment hold what is in force: with the file's
// variables, and without those whose value is empty, for orchestrators cannot
// leave one out, except where empty means something. The function that it
// returns puts everything back, also what process set aside.
func (l *loader) impose() func() {
	for name, value := range l.set {
		os.Setenv(name, value)
	}
	for name := range l.env {
		if _, ok := l.set[name]; !ok {
			os.Unsetenv(name)
		}
	}
	return func() {
		for name := range l.set {
			if _, ok := l.env[name]; !ok {
				os.Unsetenv(name)
			}
		}
		for name, value := range l.env {
			os.Setenv(name, value)
		}
	}
}

// given returns what is in force and where it comes from.
func (l *loader) given() map[string]Given {
	all := make(map[string]Given, len(l.set))
	for name, value := range l.set {
		from := EnvFile
		if own, ok := l.env[name]; ok && own == value {
			from = "set"
		}
		all[name] = Given{value, from}
	}
	return all
}

// hidden returns the file's variables that the environment has otherwise.
func (l *loader) hidden() []string {
	var names []string
	for name, value := range l.file {
		if in, ok := l.set[name]; ok && in != value {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func emptyMeansSomething(name string) bool {
	return name == Prefix+"_HTTP_ADDR" || strings.HasSuffix(name, "_EVENTS_DENY") || strings.HasSuffix(name, "_SHED_FIRST") ||
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
	if unknown, ok := errors.AsType[*amiconn.UnknownClassError](e.Err); ok {
		return unknown.Error() + "; the nearest is " + catalog.Nearest(unknown.Name, amiconn.EventClasses())
	}
	return e.Err.Error()
}

// server reads what one server has of its own. A secret of its own, in either
// form, takes the place of the common one in the other form.
func (l *loader) server(base config.ServerConfig, name string) config.ServerConfig {
	s := base
	own := ServerPrefix + config.VariableName(name)
	s.Name, s.Prefix, s.Variables = name, own+"_", l.common(own)
	if cmp.Or(l.set[own+"_SECRET"], l.set[own+"_SECRET_FILE"]) != "" {
		s.Secret, s.SecretFile = "", ""
	}
	l.process(own, &s)
	return s
}

// common returns the variables of all servers that gave settings to the one whose
// own begin with prefix, for it has none of its own for them.
func (l *loader) common(prefix string) map[string]string {
	names := make(map[string]string)
	for variable := range l.set {
		setting, ok := strings.CutPrefix(variable, amiPrefix+"_")
		if _, own := l.set[prefix+"_"+setting]; ok && !own {
			names[setting] = variable
		}
	}
	return names
}

// groups reads the variables that name several servers. A group is called as
// its variable, in lower case.
func (l *loader) groups() (groups []config.Group) {
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
		groups = append(groups, config.Group{Name: strings.ToLower(name), Servers: members})
	}
	slices.SortFunc(groups, func(a, b config.Group) int { return strings.Compare(a.Name, b.Name) })
	return groups
}

// check validates what was read, and looks into the files that are named.
func (l *loader) check(s *Settings) {
	l.note(s.Bridge.Validate(), func(setting string) string { return Prefix + "_" + setting })
	l.files(s.Bridge.NATS.CheckFiles())
	if _, err := s.Bridge.ReadWebPassword(); err != nil {
		l.files([]error{err})
	}
	for i := range s.Bridge.Servers {
		server := &s.Bridge.Servers[i]
		l.note(server.Validate(), server.Variable)
		l.files(server.CheckFiles())
	}
	if urls := s.Bridge.NATS.URL; urls != "" && !ValidURLs(urls) {
		l.problem(Prefix+"_NATS_URL", WantsURLs)
	}
	l.leaf(s)
	if s.LogLevel < zapcore.DebugLevel || s.LogLevel > zapcore.ErrorLevel {
		l.problem(Prefix+"_LOG_LEVEL", "wants debug, info, warn or error")
	}
	if _, _, err := net.SplitHostPort(s.EmbeddedNATSAddr); err != nil {
		l.problem(Prefix+"_EMBEDDED_NATS_ADDR", "wants host:port, such as 127.0.0.1:4222")
	}
}

// Unfit returns the problems that the servers and groups of next have with what is in
// force of s until a restart, each a line. next must have no problem of its own.
func (s *Settings) Unfit(next *Settings) []string {
	inForce := s.Bridge
	inForce.Servers, inForce.Groups = next.Bridge.Servers, next.Bridge.Groups
	var l loader
	l.note(inForce.Validate(), func(setting string) string { return Prefix + "_" + setting })
	l.problems = slices.DeleteFunc(l.problems, func(p string) bool { return p == NoServers })
	for i := range l.problems {
		l.problems[i] += ", which is in force until a restart"
	}
	return l.problems
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
	if !slices.Contains(l.bad, variable(wrong.Setting)) {
		l.problems = append(l.problems, wrong.Text(variable))
	}
}

// files adds what is wrong with files; each error begins with the variable.
func (l *loader) files(problems []error) {
	for _, err := range problems {
		l.problems = append(l.problems, err.Error())
	}
}
