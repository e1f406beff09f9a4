package docs

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// check logs in to a real Asterisk and says what the user lacks.
func TestReal_CheckSaysWhatIsMissing(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		binary := harness.BuildBridge(t)
		url := harness.NATS(t)
		for _, test := range []struct {
			user   realasterisk.User
			events string
			passes bool
			says   string
		}{
			{a.User(), "on", true, "Asterisk " + a.Version()},
			{a.User(), "on", true, "the user may read all classes of events that are asked for"},
			{a.User(), "Call , AGENT", true, "the user may read all classes"},
			{a.User(), "agent", true, "note  without class call an Originate with Ami-Wait: complete has no end"},
			{a.User(), "calls", false, "BRIDGE_AMI_EVENTS: entry 1 is not a class of events: wants on, off, or classes of events separated by commas, such as call,agent; the nearest is call"},
			{a.Reader(), "on", true, "note  read= lacks log,verbose,command,user,config,reporting,"},
			{a.Reader(), "call,dtmf", true, "the user may read all classes"},
			{a.Reader(), "call,cdr,aoc", false, "FAIL  BRIDGE_AMI_EVENTS asks for cdr,aoc, which the user's read= does not have"},
			{a.Reader(), "cdr", false, "FAIL  no event ever comes: BRIDGE_AMI_EVENTS=cdr, and the user's read= has system,call,agent,dtmf"},
			{a.Limited(), "on", true, "lacks, or no module loaded uses: system, call, command, agent, user, config, originate"},
			{a.Limited(), "on", true, "no FullyBooted came with the login"},
			{a.Limited(), "call,agent", true, "cannot be asked without command in write=, so they are not checked: call,agent"},
			{a.Barred(), "on", false, "auth: Login refused"},
		} {
			cmd := exec.Command(binary, "check")
			cmd.Env = []string{
				"PATH=/bin", "BRIDGE_NATS_URL=" + url, "BRIDGE_SERVERS=pbx1", "BRIDGE_SERVER_PBX1_ADDR=" + a.Addr(),
				"BRIDGE_AMI_EVENTS=" + test.events, "BRIDGE_SERVER_PBX1_USERNAME=" + test.user.Name, "BRIDGE_SERVER_PBX1_SECRET=" + test.user.Secret,
			}
			out, err := cmd.CombinedOutput()
			if (err == nil) != test.passes || !strings.Contains(string(out), test.says) {
				t.Errorf("check as %s of %s: %v, want %q in\n%s", test.user.Name, test.events, err, test.says, out)
			}
			if strings.Contains(string(out), test.user.Secret+"\n") {
				t.Errorf("check as %s prints the secret:\n%s", test.user.Name, out)
			}
		}
	})
}
