package bridge

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
)

// A file that would have to be waited for, or is none, is an error that names its
// variable.
func TestNATSLogin_FilesThatAreNone(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	large, text := newFile(t, strings.Repeat("x", 64<<10+1)).name, newFile(t, "x").name
	for want, cfg := range map[string]NATSConfig{
		"BRIDGE_NATS_CREDS_FILE: its file cannot be read: it is a FIFO, not a regular file":    {CredsFile: fifo},
		"BRIDGE_NATS_CREDS_FILE: its file cannot be read: it is larger than 64KiB":             {CredsFile: large},
		"BRIDGE_NATS_CREDS_FILE: its file holds no key":                                        {CredsFile: text},
		"BRIDGE_NATS_PASSWORD_FILE: its file cannot be read: it is a FIFO, not a regular file": {User: "u", PasswordFile: fifo},
		"BRIDGE_NATS_TOKEN_FILE: its file cannot be read: it is larger than 64KiB":             {TokenFile: large},
		"BRIDGE_NATS_TLS_CA_FILE: its file cannot be read: it is a FIFO, not a regular file":   {TLSCaFile: fifo},
		"BRIDGE_NATS_TLS_CA_FILE: its file holds no certificate in PEM":                        {TLSCaFile: text},
		"BRIDGE_NATS_TLS_KEY_FILE: its file cannot be read: it is a FIFO, not a regular file":  {TLSCertFile: text, TLSKeyFile: fifo},
		"BRIDGE_NATS_TLS_CERT_FILE and BRIDGE_NATS_TLS_KEY_FILE: tls: ":                        {TLSCertFile: text, TLSKeyFile: text},
	} {
		cfg.URL = "nats://127.0.0.1:1"
		all := DefaultConfig()
		all.NATS = cfg
		if _, err := Connect(all, "test", nats.RetryOnFailedConnect(true)); err == nil || !strings.HasPrefix(err.Error(), want) && !strings.Contains(err.Error(), ": "+want) {
			t.Errorf("connect: %v, want %q", err, want)
		}
		if problems := cfg.CheckFiles(); len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), want) {
			t.Errorf("check: %v, want %q", problems, want)
		}
	}
}
