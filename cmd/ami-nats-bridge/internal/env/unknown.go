package env

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// injected are the variables that Kubernetes and Docker links make for a
// service whose name begins with bridge.
var injected = regexp.MustCompile(`^BRIDGE_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// foreign reports whether somebody else's BRIDGE_ variable has that name and
// value.
func foreign(name, value string) bool {
	if strings.HasPrefix(name, Prefix+"_TEST_") || injected.MatchString(name) {
		return true
	}
	address := strings.HasPrefix(value, "tcp://") || strings.HasPrefix(value, "udp://")
	return strings.HasSuffix(name, "_PORT") && address
}

// unknown complains of each variable that nobody reads: a mistyped name would
// otherwise be a setting that silently is not in force.
func (l *loader) unknown(s *Settings) {
	known := make(map[string]bool)
	for _, row := range s.Rows() {
		known[row.Name] = true
	}
	candidates := slices.Sorted(maps.Keys(known))
	for name, value := range l.set {
		_, ours := l.file[name]
		if known[name] || !ours && foreign(name, value) || strings.HasPrefix(name, groupPrefix) {
			continue
		}
		if server, ok := serverOf(name); ok && !slices.ContainsFunc(s.Servers, func(n string) bool {
			return strings.HasPrefix(name, ServerPrefix+config.VariableName(n)+"_")
		}) {
			reason := "no server " + server + " in BRIDGE_SERVERS, which is not set"
			if len(s.Servers) > 0 {
				reason = fmt.Sprintf("no server %s in BRIDGE_SERVERS=%.200s", server, s.Servers)
			}
			l.problem(name, reason)
			continue
		}
		l.problem(name, "is not a setting; the nearest is "+catalog.Nearest(name, candidates))
	}
}

// serverOf returns <NAME> of BRIDGE_SERVER_<NAME>_<SETTING>; it is false if
// what follows is no setting.
func serverOf(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, ServerPrefix)
	if !ok {
		return "", false
	}
	base := config.DefaultServerConfig()
	longest := ""
	for _, v := range variables("X", &base) {
		setting := strings.TrimPrefix(v.name, "X")
		if strings.HasSuffix(rest, setting) && len(setting) > len(longest) && len(setting) < len(rest) {
			longest = setting
		}
	}
	return strings.TrimSuffix(rest, longest), longest != ""
}
