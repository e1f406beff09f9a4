package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/logging"
)

// reloader has the settings of a running bridge read again, each time that
// somebody asks for it.
type reloader struct {
	hangup   <-chan os.Signal // SIGHUP; nil for never
	redactor *logging.Redactor
	level    zap.AtomicLevel // of the log

	log     *zap.Logger
	base    *env.Settings        // as the bridge was started, but for the servers, which are those in force
	inForce map[string]env.Given // what is set, by variable, as far as it is in force
	doubted []string             // servers that the last reading left, which were too few; nil if they were not
}

// start is called before run, with the settings that the bridge starts with.
func (r *reloader) start(s *env.Settings, log *zap.Logger) {
	r.log, r.inForce = log, s.Given
	base := *s
	r.base = &base
	r.warn(s)
}

// run reads the settings again with each signal, until ctx ends.
func (r *reloader) run(ctx context.Context, b *bridge.Bridge) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hangup:
			r.reload(b)
		}
	}
}

// reload puts in force what can change, and names what cannot. With a problem
// nothing changes, nor with servers that look like a mistake, the first time.
func (r *reloader) reload(b *bridge.Bridge) {
	s, problems := env.Load()
	problems = slices.DeleteFunc(problems, func(p string) bool { return p == env.NoServers })
	if len(problems) == 0 {
		problems = r.base.Unfit(&s)
	}
	if len(problems) > 0 {
		r.log.Error("settings not read again: nothing has changed", zap.Strings("problems", problems), zap.Int("count", len(problems)))
		return
	}
	if r.doubts(s.Servers) {
		return
	}
	changed, fixed := r.compare(&s)
	r.level.SetLevel(s.LogLevel)
	servers, err := b.Reload(s.Bridge)
	// A count, so that the log does not sum up lines that tell of different things.
	r.log.Info("settings read again", zap.Strings("changed", changed), zap.Int("count", len(changed)))
	if n := len(servers.Added) + len(servers.Removed) + len(servers.Restarted); n > 0 {
		r.log.Info("servers changed", zap.Strings("added", servers.Added), zap.Strings("removed", servers.Removed), zap.Strings("restarted", servers.Restarted), zap.Int("count", n))
	}
	if err != nil {
		r.log.Error("some requests do not arrive", zap.Error(err))
	}
	if len(fixed) > 0 {
		r.log.Warn("settings that cannot change before a restart", zap.Strings("variables", fixed), zap.Int("count", len(fixed)))
	}
	r.warn(&s)
}

// doubts reports whether servers are none, or less than half of those in force are among
// them, and nobody has said so twice: an unfinished file must not end a call centre.
func (r *reloader) doubts(servers []string) bool {
	var gone []string
	for _, name := range r.base.Servers {
		if !slices.Contains(servers, name) {
			gone = append(gone, name)
		}
	}
	again := r.doubted != nil && slices.Equal(r.doubted, servers)
	r.doubted = nil
	if again || len(servers) > 0 && 2*len(gone) <= len(r.base.Servers) || len(gone) == 0 {
		return false
	}
	r.doubted = append([]string{}, servers...)
	r.log.Error("settings not read again: nothing has changed", zap.Strings("problems", []string{
		fmt.Sprintf("BRIDGE_SERVERS: %d of %d servers would go: %s; SIGHUP once more has them go", len(gone), len(r.base.Servers), strings.Join(gone, " ")),
	}), zap.Int("count", 1))
	return true
}

// warn warns of what is said in vain.
func (r *reloader) warn(s *env.Settings) {
	s.LogIdle(r.log)
	if len(s.Hidden) > 0 {
		r.log.Warn("settings of "+env.EnvFile+" that the environment hides", zap.Strings("variables", s.Hidden), zap.Int("count", len(s.Hidden)))
	}
}

// compare returns the variables that s has otherwise than what is in force, those
// that can change and those that cannot, and notes the former and the servers as in
// force. What belongs to a server that comes or goes is BRIDGE_SERVERS' matter.
func (r *reloader) compare(s *env.Settings) (changed, fixed []string) {
	names := maps.Clone(r.inForce)
	maps.Copy(names, s.Given)
	shown := func(s *env.Settings) map[string]string {
		values := make(map[string]string)
		for _, row := range s.Rows() {
			values[row.Name] = row.Value
		}
		return values
	}
	before, after := shown(r.base), shown(s)
	inForce := maps.Clone(r.inForce)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, wasSet := r.inForce[name]
		is, isSet := s.Given[name]
		if was.Value == is.Value && wasSet == isSet {
			continue
		}
		setting, server := settingOf(name, slices.Concat(r.base.Servers, s.Servers))
		stays := server == "" || slices.Contains(s.Servers, server) && slices.Contains(r.base.Servers, server)
		switch {
		case canChange(setting, r.base, s):
			if stays {
				changed = append(changed, name)
			}
			if delete(inForce, name); isSet {
				inForce[name] = is
			}
		case before[name] != after[name] || before[name] == redact.Hidden:
			fixed = append(fixed, name)
		}
	}
	r.inForce, r.base.Servers, r.base.Bridge.Servers = inForce, s.Servers, s.Bridge.Servers
	return changed, fixed
}

// settingOf returns the setting that a variable is of, AMI_SECRET for that of a
// server and that of all, and the server if it is one's own.
func settingOf(name string, servers []string) (setting, server string) {
	rest := strings.TrimPrefix(name, env.Prefix+"_")
	longest := 0
	for _, s := range servers {
		own := env.ServerPrefix + config.VariableName(s) + "_"
		if strings.HasPrefix(name, own) && len(own) > longest {
			setting, server, longest = "AMI_"+name[len(own):], s, len(own)
		}
	}
	if server == "" {
		return rest, ""
	}
	return setting, server
}

// changeable are the settings that a running bridge can change, beside all of servers
// and groups.
var changeable = strings.Fields(`SERVERS LOG_LEVEL ACTIONS_ALLOW ACTIONS_DENY ACTIONS_RULES HA_COPIES WEB WEB_NUMBERS WEB_PASSWORD WEB_PASSWORD_FILE`)

// natsChangeable are those that it can while the kinds of credentials stay, and
// nothing but its own connections goes by them.
var natsChangeable = strings.Fields(`NATS_CREDS_FILE NATS_USER NATS_PASSWORD NATS_PASSWORD_FILE NATS_TOKEN NATS_TOKEN_FILE
	NATS_TLS_CA_FILE NATS_TLS_CERT_FILE NATS_TLS_KEY_FILE`)

func canChange(setting string, before, after *env.Settings) bool {
	if slices.Contains(natsChangeable, setting) {
		return before.Bridge.NATS.URL != "" && before.Bridge.NATS.Kinds() == after.Bridge.NATS.Kinds()
	}
	return slices.Contains(changeable, setting) || strings.HasPrefix(setting, "AMI_") || strings.HasPrefix(setting, "GROUP_")
}
