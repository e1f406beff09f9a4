package sessions

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// A real Asterisk with a certificate as its own contrib/scripts/ast_tls_cert
// makes them: no name but a CN. check says what would take it, and it is taken.
func TestReal_TLSWithACNOnly(t *testing.T) {
	// Both parts are in one file, as the script leaves them; Asterisk wants them apart or together.
	dir := filepath.Join(harness.Root(t), "amiconn/testdata")
	pem, ca := filepath.Join(dir, "cn-only.pem"), filepath.Join(dir, "cn-only-ca.crt")
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		binary := harness.BuildBridge(t)
		if err := a.Certify(pem, pem); err != nil {
			t.Fatal(err)
		}
		if err := a.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		url := harness.NATS(t)
		check := func(good bool, says string, set ...string) string {
			t.Helper()
			cmd := exec.Command(binary, "check")
			cmd.Env = append([]string{
				"PATH=/bin", "BRIDGE_NATS_URL=" + url, "BRIDGE_SERVERS=pbx1", "BRIDGE_SERVER_PBX1_ADDR=" + a.TLSAddr(), "BRIDGE_AMI_TLS=on",
				"BRIDGE_SERVER_PBX1_USERNAME=" + a.User().Name, "BRIDGE_SERVER_PBX1_SECRET=" + a.User().Secret,
			}, set...)
			out, err := cmd.CombinedOutput()
			if (err == nil) != good || !bytes.Contains(out, []byte(says)) {
				t.Errorf("check with %q: %v, want %q in\n%s", set, err, says, out)
			}
			return string(out)
		}
		check(false, "BRIDGE_SERVER_PBX1_TLS_CA_FILE")
		said := check(false, "no name but its CN, \"pbx.test\" (Asterisk's ast_tls_cert makes such): BRIDGE_SERVER_PBX1_TLS_SERVER_NAME=pbx.test accepts that name", "BRIDGE_AMI_TLS_CA_FILE="+ca)
		_, rest, _ := strings.Cut(said, "is accepted by BRIDGE_SERVER_PBX1_TLS_PIN_SHA256=")
		pin, _, _ := strings.Cut(rest, "\n")
		check(true, "logged in as bridge, 2 sessions", "BRIDGE_SERVER_PBX1_TLS_PIN_SHA256="+pin)
		check(true, "logged in as bridge, 2 sessions", "BRIDGE_AMI_TLS_CA_FILE="+ca, "BRIDGE_AMI_TLS_SERVER_NAME=pbx.test")
		check(false, "none of BRIDGE_AMI_TLS_PIN_SHA256", "BRIDGE_AMI_TLS_PIN_SHA256="+strings.Repeat("00", 32))
	})
}
