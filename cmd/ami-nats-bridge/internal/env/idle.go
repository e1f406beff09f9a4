package env

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
)

// idle is a variable that has no effect, or an entry of it, and why. It is no
// problem: what the catalog does not know may be a module's of somebody's own.
type idle struct{ Variable, Why string }

// idlers collects them.
type idlers []idle

func (i *idlers) add(variable, why string, args ...any) {
	if one := (idle{variable, fmt.Sprintf(why, args...)}); !slices.Contains(*i, one) {
		*i = append(*i, one)
	}
}

// Idle returns what is set and has no effect.
func (s *Settings) Idle() []idle {
	var i idlers
	s.idleNATS(&i)
	if name := s.setOf("HA_SILENCE", "HA_WEIGHT"); name != "" && !s.Bridge.HA {
		i.add(name, "BRIDGE_HA is off, so that no other bridge takes over")
	}
	own := func(setting string) string { return Prefix + "_" + setting }
	i.policy(own, s.Bridge.ActionsAllow, s.Bridge.ActionsDeny, s.Bridge.ActionsRules)
	for n := range s.Bridge.Servers {
		server := &s.Bridge.Servers[n]
		i.policy(server.Variable, server.ActionsAllow, server.ActionsDeny, server.ActionsRules)
		i.emptyLists(s, server)
		var timeouts, rates []string
		for _, t := range server.ActionTimeouts {
			timeouts = append(timeouts, t.Pattern)
		}
		for _, r := range server.ActionRates {
			rates = append(rates, r.Pattern)
		}
		i.inTurn(server.Variable("ACTION_TIMEOUTS"), timeouts)
		i.inTurn(server.Variable("ACTION_RATES"), rates)
		i.events(server)
	}
	slices.SortFunc(i, func(a, b idle) int {
		return cmp.Or(strings.Compare(a.Variable, b.Variable), strings.Compare(a.Why, b.Why))
	})
	return i
}

// LogIdle warns of what is set and has no effect.
func (s *Settings) LogIdle(log *zap.Logger) {
	all := s.Idle()
	for _, one := range all {
		log.Warn("setting without effect", zap.String("variable", one.Variable), zap.String("cause", one.Why), zap.Int("count", len(all)))
	}
}

// idleNATS finds credentials that nobody is shown.
func (s *Settings) idleNATS(i *idlers) {
	n, kinds := &s.Bridge.NATS, s.Bridge.NATS.Kinds()
	if n.User == "" && n.Password+setting.Secret(n.PasswordFile) != "" {
		i.add(s.setOf("NATS_PASSWORD", "NATS_PASSWORD_FILE"), "it is for BRIDGE_NATS_USER, which is not set")
	}
	credentials := s.setOf("NATS_USER", "NATS_TOKEN", "NATS_TOKEN_FILE", "NATS_CREDS_FILE", "NATS_TLS_CA_FILE", "NATS_TLS_CERT_FILE")
	switch {
	case n.URL == "" && s.NATSLeafURL == "" && credentials != "":
		i.add(credentials, "BRIDGE_NATS_URL is not set, and the embedded nats-server asks nobody who they are")
	case strings.Contains(n.URL, "@") && (kinds.User || kinds.Token):
		i.add(s.setOf("NATS_USER", "NATS_TOKEN", "NATS_TOKEN_FILE"), "BRIDGE_NATS_URL has a user of its own, which goes first")
	}
	if n.URL != "" {
		if name := s.setOf("EMBEDDED_NATS_ADDR"); name != "" {
			i.add(name, "BRIDGE_NATS_URL is set, so that no nats-server is embedded")
		}
	}
}

// setOf returns the first of these settings' variables that is set, or "".
func (s *Settings) setOf(names ...string) string {
	for _, name := range names {
		if _, ok := s.Given[Prefix+"_"+name]; ok {
			return Prefix + "_" + name
		}
	}
	return ""
}

// emptyLists finds lists of a server's own that say nothing, so that all
// servers' stay in force.
func (i *idlers) emptyLists(s *Settings, server *config.ServerConfig) {
	for setting, rest := range map[string]string{
		"ACTIONS_ALLOW": s.Bridge.ActionsAllow.String(), "ACTIONS_DENY": s.Bridge.ActionsDeny.String(), "ACTIONS_RULES": s.Bridge.ActionsRules.String(),
	} {
		name := server.Variable(setting)
		if given, ok := s.Given[name]; ok && strings.Trim(given.Value, " ,;") == "" && rest != "" {
			i.add(name, "it is empty, so that %s_%s stays in force", Prefix, setting)
		}
	}
}

// policy finds entries that no Action can meet.
func (i *idlers) policy(variable func(string) string, allow, deny setting.Globs, rules policy.Rules) {
	for _, glob := range allow {
		name, part, _ := strings.Cut(glob, ":")
		met := i.action(variable("ACTIONS_ALLOW"), name)
		if met && part == "" && !strings.ContainsAny(glob, `*?[\:`) && !slices.ContainsFunc(policy.DefaultRefused(), func(refused string) bool {
			return strings.EqualFold(refused, glob)
		}) {
			i.add(variable("ACTIONS_ALLOW"), "%s is not refused by default, so that to name it grants nothing", glob)
		}
	}
	for _, glob := range deny {
		name, _, _ := strings.Cut(glob, ":")
		i.action(variable("ACTIONS_DENY"), name)
	}
	for _, r := range rules.About() {
		if !i.action(variable("ACTIONS_RULES"), r.Action) {
			continue
		}
		var wrong error
		for _, action := range matching(r.Action, catalog.Actions()) {
			if wrong = catalog.Check(action, []string{r.Header}); wrong == nil {
				break
			}
		}
		if wrong != nil {
			i.add(variable("ACTIONS_RULES"), "%s: %v", r.Text, wrong)
		}
	}
}

// action reports whether some Action that is known matches glob.
func (i *idlers) action(variable, glob string) bool {
	actions := catalog.Actions()
	if len(matching(glob, actions)) > 0 {
		return true
	}
	i.add(variable, "%s is not an Action of Asterisk 1.8 to 23: the nearest is %s", glob, nearest(glob, actions))
	return false
}

// inTurn finds patterns whose Actions are decided by others before them.
func (i *idlers) inTurn(variable string, patterns []string) {
	left := catalog.Actions()
	for _, glob := range patterns {
		if !i.action(variable, glob) {
			continue
		}
		mine := matching(glob, left)
		if len(mine) == 0 {
			i.add(variable, "%s decides nothing: what it matches is decided by those before it", glob)
		}
		left = slices.DeleteFunc(left, func(name string) bool { return slices.Contains(mine, name) })
	}
}

// events finds patterns that match no event, or none that is asked for.
func (i *idlers) events(server *config.ServerConfig) {
	names := catalog.EventNames()
	for setting, globs := range map[string]setting.Globs{
		"EVENTS_ALLOW": server.EventsAllow, "EVENTS_DENY": server.EventsDeny, "SHED_FIRST": server.ShedFirst,
	} {
		for _, glob := range globs {
			matches := matching(glob, names)
			wanted := slices.ContainsFunc(catalog.Events(), func(e catalog.Event) bool {
				return slices.Contains(matches, e.Name) && !slices.ContainsFunc(e.Classes, func(class string) bool { return !server.Events.Has(class) })
			})
			switch {
			case len(matches) == 0:
				i.add(server.Variable(setting), "%s is not an event of Asterisk 1.8 to 23: the nearest is %s", glob, nearest(glob, names))
			case !wanted && glob != "*":
				i.add(server.Variable(setting), "%s is of a class that %s does not ask for", glob, server.Variable("EVENTS"))
			}
		}
	}
}

// matching returns those of names that match glob, ignoring case.
func matching(glob string, names []string) []string {
	var all []string
	for _, name := range names {
		if ok, _ := path.Match(strings.ToLower(glob), strings.ToLower(name)); ok { // checked when it was read
			all = append(all, name)
		}
	}
	return all
}

// nearest returns what glob may mean: the first name that begins as it does, or
// the one with the least edits.
func nearest(glob string, names []string) string {
	stem := strings.ToLower(glob)
	if at := strings.IndexAny(stem, "*?[\\_-. "); at >= 0 {
		stem = stem[:at]
	}
	for _, name := range names {
		if len(stem) >= 3 && strings.HasPrefix(strings.ToLower(name), stem) {
			return name
		}
	}
	return catalog.Nearest(glob, names)
}
