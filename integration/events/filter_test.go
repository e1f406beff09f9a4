package events

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// What Asterisk filters has no number; what the bridge filters leaves a jump.
// The users have the eventfilter lines that docs/asterisk.md shows.
func TestReal_FiltersAtAsterisksEndCostNoNumber(t *testing.T) {
	t.Parallel()
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		as := func(name, user, secret string) config.ServerConfig {
			return harness.Server(name, a.Addr(), user, secret)
		}
		plain, denied, classes := as("plain", a.User().Name, a.User().Secret), as("denied", a.User().Name, a.User().Secret),
			as("classes", a.User().Name, a.User().Secret)
		denied.EventsDeny = setting.Globs{"VarSet", "Newexten"}
		classes.Events = "call,user"
		servers := []config.ServerConfig{plain, denied, classes, as("filtered", "filtered", "flt")}
		gone := map[string]string{ // what must not come, by server
			"denied":   `"Event":"(VarSet|Newexten)"`,
			"filtered": `"Event":"(VarSet|Newexten)"`,
			"classes":  `"Event":"(VarSet|DTMFBegin|QueueCallerJoin)"`,
		}
		if strings.HasPrefix(a.Version(), "22.") {
			servers = append(servers, as("advanced", "advanced", "adv"))
			gone["advanced"] = `"Event":"(VarSet|Newexten)"|"Event":"Newstate".*"Channel":"Local/`
		}
		r := harness.Bridge(t, harness.NATS(t), nil, servers...)
		seen, jumps := eventsOfCalls(t, r, a, servers)
		for name, unwanted := range gone {
			match := regexp.MustCompile(unwanted)
			if !slices.ContainsFunc(seen["plain"], match.MatchString) {
				t.Errorf("without a filter nothing matches %s", unwanted)
			}
			if i := slices.IndexFunc(seen[name], match.MatchString); i >= 0 {
				t.Errorf("%s: this should have been filtered: %s", name, seen[name][i])
			}
			t.Logf("Asterisk %s, %s: %d events of %d, the number jumps %d times",
				a.Version(), name, len(seen[name]), len(seen["plain"]), jumps[name])
			if got, want := jumps[name] > 0, name == "denied"; got != want {
				t.Errorf("%s: the number jumps %d times", name, jumps[name])
			}
		}
	})
}

// eventsOfCalls makes calls and returns what came by each server between two
// marks, and how often Ami-Seq jumped meanwhile.
func eventsOfCalls(
	t *testing.T, r *harness.Running, a *realasterisk.Instance, servers []config.ServerConfig,
) (seen map[string][]string, jumps map[string]int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen, jumps = map[string][]string{}, map[string]int{}
	events := map[string]*nats.Subscription{}
	for _, s := range servers {
		events[s.Name] = r.Subscribe("ami.events." + s.Name + ".>")
	}
	if err := errors.Join(a.Mark(ctx, "begin"), a.Calls(ctx, "call", "busy", "dtmf", "quick"), a.Mark(ctx, "end")); err != nil {
		t.Fatal(err)
	}
	for name, sub := range events {
		for last, text := 0, ""; !strings.Contains(text, `"UserEvent":"Mark"`) || !strings.Contains(text, `"Mark":"end"`); {
			msg := r.Next(sub)
			text = string(msg.Data)
			_, number, _ := strings.Cut(msg.Header.Get("Ami-Seq"), ":")
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			if last > 0 && n != last+1 {
				jumps[name]++
			}
			last = n
			seen[name] = append(seen[name], text)
		}
	}
	return seen, jumps
}

// The lines that the page shows are those that the test above tries out.
func TestDocs_EventFiltersAreTriedOut(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^ *(eventfilter *[(=].*?) *(;.*)?$`)
	shown := lines.FindAllStringSubmatch(harness.ReadText(t, harness.Root(t), "docs/asterisk.md"), -1)
	tried := map[string]bool{}
	for _, m := range lines.FindAllStringSubmatch(harness.ReadText(t, harness.Root(t), "integration/asterisk/etc/manager.conf"), -1) {
		tried[m[1]] = true
	}
	if len(shown) < 3 {
		t.Fatalf("docs/asterisk.md shows only %q", shown)
	}
	for _, m := range shown {
		if !tried[m[1]] {
			t.Errorf("docs/asterisk.md shows %q, which no user of the bench has", m[1])
		}
	}
}
