package env

import (
	"slices"
	"testing"
)

// Who writes a secret where its file's name belongs does not have it printed by config, which people paste.
func TestRows_ASecretInPlaceOfItsFileIsHidden(t *testing.T) {
	for _, name := range []string{"BRIDGE_AMI_SECRET_FILE", "BRIDGE_NATS_CREDS_FILE", "BRIDGE_NATS_PASSWORD_FILE", "BRIDGE_NATS_TOKEN_FILE", "BRIDGE_WEB_PASSWORD_FILE"} {
		for value, want := range map[string]string{"": "", "hunter2": "[redacted]", "-----BEGIN\nSUA/B": "[redacted]", "a/b=": "[redacted]", "/run/secrets/x": "/run/secrets/x", "./x": "./x"} {
			t.Setenv(name, value)
			s, _ := Load()
			rows := s.Rows()
			at := slices.IndexFunc(rows, func(r Row) bool { return r.Name == name })
			if got := rows[at].Value; got != want {
				t.Errorf("%s=%q is shown as %q, want %q", name, value, got, want)
			}
		}
		t.Setenv(name, "")
	}
	t.Setenv("BRIDGE_NATS_TLS_KEY_FILE", "key.pem")
	s, _ := Load()
	if !slices.ContainsFunc(s.Rows(), func(r Row) bool { return r.Value == "key.pem" }) {
		t.Error("the name of a file is hidden")
	}
}
