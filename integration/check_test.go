package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// check logs in to a real Asterisk and says what the user lacks.
func TestReal_CheckSaysWhatIsMissing(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		if !a.OwnConfiguration() {
			t.Skip("an Asterisk given by address does not have the bench's limited users")
		}
		binary := filepath.Join(t.TempDir(), "ami-nats-bridge")
		if out, err := exec.Command("go", "build", "-o", binary, "../cmd/ami-nats-bridge").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		url := natsURL(t)
		for _, test := range []struct {
			user   realasterisk.User
			passes bool
			says   string
		}{
			{a.User(), true, "Asterisk " + a.Version()},
			{a.Limited(), true, "lacks, or no module loaded uses: system, call, command, agent, user, config, originate"},
			{a.Barred(), false, "auth: Login refused"},
		} {
			cmd := exec.Command(binary, "check")
			cmd.Env = []string{
				"PATH=/bin", "BRIDGE_NATS_URL=" + url, "BRIDGE_SERVERS=pbx1", "BRIDGE_SERVER_PBX1_ADDR=" + a.Addr(),
				"BRIDGE_SERVER_PBX1_USERNAME=" + test.user.Name, "BRIDGE_SERVER_PBX1_SECRET=" + test.user.Secret,
			}
			out, err := cmd.CombinedOutput()
			if (err == nil) != test.passes || !strings.Contains(string(out), test.says) {
				t.Errorf("check as %s: %v, want %q in\n%s", test.user.Name, err, test.says, out)
			}
			if strings.Contains(string(out), test.user.Secret+"\n") {
				t.Errorf("check as %s prints the secret:\n%s", test.user.Name, out)
			}
		}
	})
}
