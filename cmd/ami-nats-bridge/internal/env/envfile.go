package env

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
)

// EnvFile is the variable that names a file of more variables.
const EnvFile = Prefix + "_ENV_FILE"

// maxEnvFile bounds that file: some ten thousand variables.
const maxEnvFile = setting.MiB

var envNameRule = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// readEnvFile reads a file of variables: one NAME=value a line, the value as it
// stands but for blanks around it, empty lines, and lines that begin with #. It
// returns every problem beside what is right; set is nil if the file cannot be
// read at all.
func readEnvFile(name string) (set map[string]string, problems []string) {
	problem := func(line int, reason string) {
		problems = append(problems, fmt.Sprintf("%s: line %d %s", EnvFile, line, reason))
	}
	content, err := amiconn.ReadFile(name, maxEnvFile)
	if err != nil {
		return nil, []string{fmt.Sprintf("%s: its file cannot be read: %v", EnvFile, err)}
	}
	content = amiconn.TrimMark(content)
	if bytes.IndexByte(content, 0) >= 0 {
		return nil, []string{EnvFile + ": its file holds NUL: it is not text in UTF-8"}
	}
	set = make(map[string]string)
	number := 0
	for line := range strings.SplitSeq(string(content), "\n") {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		variable, value, ok := strings.Cut(line, "=")
		variable, value = strings.TrimSpace(variable), strings.TrimSpace(value)
		_, twice := set[variable]
		switch {
		case !ok || !envNameRule.MatchString(variable):
			problem(number, "wants NAME=value") // whatever stands there may be a secret
		case twice:
			problem(number, "sets "+variable+" again")
		case variable == EnvFile:
			problem(number, "sets "+EnvFile+" itself, which only the environment can")
		case !strings.HasPrefix(variable, Prefix+"_"):
			problem(number, "sets "+variable+", which is not a setting; the nearest is "+catalog.Nearest(variable, settingNames()))
		case quoted(value):
			problem(number, "has "+variable+" in quotes, which would be part of its value: leave them out")
		default: // some are kept for as long as the bridge runs, and not all of the file with each
			set[strings.Clone(variable)] = strings.Clone(value)
		}
	}
	return set, problems
}

// settingNames are the variables that there are without any server.
func settingNames() []string {
	s := Defaults()
	var names []string
	for _, r := range s.Rows() {
		names = append(names, r.Name)
	}
	return names
}

// quoted reports whether value is between quotes, as a shell would want it.
func quoted(value string) bool {
	if len(value) < 2 {
		return false
	}
	first, last := value[0], value[len(value)-1]
	return first == last && (first == '"' || first == '\'')
}
