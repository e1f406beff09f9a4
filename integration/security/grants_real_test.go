package security

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// Of each application and function that Asterisk has, what is refused names the grant to write, not only that there is one.
func TestReal_PolicyNamesEachGrant(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		ctx, cancel := context.WithTimeout(t.Context(), 5*harness.Patience)
		defer cancel()
		direct, err := a.Actions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer direct.Close()
		r := harness.Bridge(t, harness.NATS(t), nil, harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))
		names := func(command, form string) (all []string) {
			answer, err := direct.Do(ctx, "Action: Command", "Command: "+command)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^(?:Output: )?`+form).FindAllStringSubmatch(string(answer[0]), -1) {
				all = append(all, m[1])
			}
			if len(all) < 150 {
				t.Fatalf("%s has %d names", command, len(all))
			}
			return all
		}
		for _, name := range names("core show applications", ` +(\w+): `) {
			wantsGrant(t, r.Call("pbx1", "Originate", fmt.Sprintf(`{"Channel":"Local/none@none","Application":%q,"Async":true}`, name)), "Originate:"+name)
		}
		for _, name := range names("core show functions", `([A-Z][A-Z0-9_]+) +[A-Z]`) { // Asterisk cuts them at 20 bytes
			wantsGrant(t, r.Call("pbx1", "Getvar", fmt.Sprintf(`{"Channel":"none","Variable":"%s(x)"}`, name)), "Getvar:"+name)
		}
	})
}

// wantsGrant wants a request that is refused to name the grant, or one for all functions that begin so, unless Asterisk has
// cut the name that was asked for.
func wantsGrant(t *testing.T, got harness.Reply, grant string) {
	t.Helper()
	if got.Error == nil || got.Error.Kind != "forbidden" {
		return
	}
	_, named, _ := strings.Cut(got.Error.Message, "=")
	named = strings.TrimSuffix(named, " grants it")
	cut := len(grant) == len("Getvar:")+20 && strings.HasPrefix(named, "Getvar:<")
	isFamily := strings.HasPrefix(grant, "Getvar:") && strings.HasPrefix(grant, named)
	if !cut && !isFamily && !strings.EqualFold(named, grant) {
		t.Errorf("%s: %s", grant, got.Error.Message)
	}
}
