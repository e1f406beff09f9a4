package realasterisk

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	variable     = "BRIDGE_TEST_ASTERISK_"
	startTimeout = 5 * time.Minute
)

// Each runs test once for every Asterisk that the environment names, each in a subtest of its own, started
// before and stopped after it. The subtests are parallel: most tests wait for calls to end. So Each is the
// last thing that a test calls. Without any, the subtests skip, saying what to set. Asterisk's log is
// printed when the test fails.
func Each(t *testing.T, test func(t *testing.T, a *Instance)) { each(t, test, "22", "16") }

// next is an Asterisk that Debian has in experimental only, until another takes its place there.
const next = "22.11"

// EachAndNext is Each, and 22.11 as well, where each session has a queue of events for itself. One that is
// missing is skipped, whatever is required.
func EachAndNext(t *testing.T, test func(t *testing.T, a *Instance)) { each(t, test, "22", "16", next) }

func each(t *testing.T, test func(t *testing.T, a *Instance), versions ...string) {
	addr, external := os.LookupEnv(variable + "ADDR")
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			dir := os.Getenv(variable + strings.ReplaceAll(version, ".", "_"))
			if _, err := os.Stat(dir); version == next && err != nil {
				t.Skip("NOT RUN at Asterisk " + next + ", which Debian's experimental may have no more: `make asterisk` tries it")
			}
			if dir == "" {
				missing(t, version, external)
			}
			t.Parallel()
			a, err := Start(startContext(t), dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { finish(t, a) })
			test(t, a)
		})
	}
	if !external {
		return
	}
	t.Run("addr", func(t *testing.T) {
		t.Parallel()
		a, err := attach(startContext(t), addr)
		if err != nil {
			t.Fatal(err)
		}
		test(t, a)
	})
}

// missing ends the test. An Asterisk given by address is enough for those who require one.
func missing(t *testing.T, version string, external bool) {
	t.Helper()
	message := fmt.Sprintf("no Asterisk %s: `make asterisk integration` installs it and runs this test; or set %s%s to the folder of an "+
		"install, or %sADDR to host:port,user,secret of any Asterisk", version, variable, version, variable)
	if os.Getenv(variable+"REQUIRED") == "1" && !external {
		t.Fatal(message)
	}
	t.Skip(message)
}

// NeedsOwn skips a test of what the bench's own configuration alone has, or may be done to.
func (i *Instance) NeedsOwn(t *testing.T) {
	t.Helper()
	if !i.OwnConfiguration() {
		t.Skip("NOT RUN at an Asterisk given by address: it has none of the bench's dialplan, users and telephones, and is not ours to change")
	}
}

func startContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	t.Cleanup(cancel)
	return ctx
}

// attach makes an Instance of an Asterisk that runs already.
func attach(ctx context.Context, addr string) (*Instance, error) {
	parts := strings.SplitN(addr, ",", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("%sADDR: want host:port,user,secret", variable)
	}
	a := &Instance{addr: parts[0], user: User{parts[1], parts[2]}}
	return a, a.acquaint(ctx)
}

func finish(t *testing.T, a *Instance) {
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.Logf("Asterisk %s\n%s", a.Version(), a.Log())
	}
}
