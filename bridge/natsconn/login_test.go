package natsconn

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// applied returns what options make of nats.go's.
func applied(t *testing.T, l *Login) nats.Options {
	t.Helper()
	all, err := l.options(nil)
	if err != nil {
		t.Fatal(err)
	}
	var o nats.Options
	for _, set := range all {
		if err := set(&o); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// decorated is a credentials file of a user's.
func decorated(t *testing.T, jwt string) (text, public string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err1 := pair.Seed()
	public, err2 := pair.PublicKey()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return "-----BEGIN NATS USER JWT-----\n" + jwt + "\n------END NATS USER JWT------\n\n" +
		"-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n", public
}

// Each connect has what the files have then, and what is read is told before.
func TestNATSLogin_ReadsFilesWithEachConnect(t *testing.T) {
	password, token := natstest.NewFile(t, "first\n"), natstest.NewFile(t, "token-1\r\n")
	text, public := decorated(t, "jwt.first.x")
	creds := natstest.NewFile(t, "\xef\xbb\xbf"+text)
	_, ca1, err1 := amisim.NewCertificate("a")
	_, ca2, err2 := amisim.NewCertificate("a")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	ca := natstest.NewFile(t, string(ca1))
	var mu sync.Mutex
	var learned []string
	core, logs := observer.New(zapcore.DebugLevel)
	l := NewLogin(config.NATSConfig{
		URL: "nats://n", User: "u", PasswordFile: password.Name, TokenFile: token.Name, CredsFile: creds.Name, TLSCaFile: ca.Name,
	}, func(s setting.Secret) { mu.Lock(); defer mu.Unlock(); learned = append(learned, string(s)) }, zap.New(core))
	o := applied(t, l)
	check := func(when, wantPassword, wantToken, wantJWT, wantKey string, wantCA []byte) {
		t.Helper()
		user, got := o.UserInfo()
		if user != "u" || got != wantPassword || o.TokenHandler() != wantToken {
			t.Errorf("%s: user %q, a password of %d bytes", when, user, len(got))
		}
		jwt, err := o.UserJWT()
		if err != nil || jwt != wantJWT {
			t.Errorf("%s: JWT %q, %v", when, jwt, err)
		}
		signature, err := o.SignatureCB([]byte("nonce"))
		key, _ := nkeys.FromPublicKey(wantKey)
		if err != nil || key.Verify([]byte("nonce"), signature) != nil {
			t.Errorf("%s: the signature is of another key (%v)", when, err)
		}
		pool, err := o.RootCAsCB()
		block, _ := pem.Decode(wantCA)
		want := x509.NewCertPool()
		want.AppendCertsFromPEM(pem.EncodeToMemory(block))
		if err != nil || !pool.Equal(want) {
			t.Errorf("%s: another authority (%v)", when, err)
		}
	}
	check("at first", "first", "token-1", "jwt.first.x", public, ca1)
	text, other := decorated(t, "jwt.second.x")
	password.Write("second")
	token.Write("token-2")
	creds.Write(text)
	ca.Write(string(ca2))
	check("then", "second", "token-2", "jwt.second.x", other, ca2)
	for _, secret := range []string{"first", "second", "token-1", "token-2"} {
		if !slices.Contains(learned, secret) {
			t.Error("a secret was not told before it was used")
		}
	}
	// nats.go takes no error for a password: the one before is tried, and the log says why.
	if err := os.Remove(password.Name); err != nil {
		t.Fatal(err)
	}
	check("without the file", "second", "token-2", "jwt.second.x", other, ca2)
	if told := logs.FilterMessage("secret not read: the one before is tried").All(); len(told) != 1 ||
		!strings.Contains(told[0].ContextMap()["error"].(string), "BRIDGE_NATS_PASSWORD_FILE: its file cannot be read: no such file") {
		t.Errorf("logged: %v", told)
	}
	// Of another kind of credentials nothing is taken; of the same all.
	l.Renew(config.NATSConfig{URL: "nats://n", User: "other", Password: "x"})
	if user, _ := o.UserInfo(); user != "u" {
		t.Errorf("user %q after another kind of credentials", user)
	}
	next := *l.cfg.Load()
	next.User, next.Password, next.PasswordFile = "other", "third", ""
	l.Renew(next)
	check2, got := o.UserInfo()
	if check2 != "other" || got != "third" {
		t.Errorf("user %q, a password of %d bytes after renew", check2, len(got))
	}
}

// Another login is known as such whatever of it has changed, and a file that
// cannot be read makes none.
func TestNATSLogin_MarkTellsOneFromAnother(t *testing.T) {
	text, _ := decorated(t, "jwt.first.x")
	password, token, creds, cert := natstest.NewFile(t, "p"), natstest.NewFile(t, "t"), natstest.NewFile(t, text), natstest.NewFile(t, "c")
	l := NewLogin(config.NATSConfig{
		User: "u", PasswordFile: password.Name, TokenFile: token.Name, CredsFile: creds.Name, TLSCertFile: cert.Name,
	}, nil, nil)
	first, ok := l.mark()
	if again, _ := l.mark(); !ok || again != first {
		t.Error("the same login has two marks, or none")
	}
	seen := map[loginMark]bool{first: true}
	text, _ = decorated(t, "jwt.second.x")
	for f, content := range map[*natstest.File]string{password: "other", token: "other", creds: text, cert: "other"} {
		f.Write(content)
		if mark, ok := l.mark(); !ok || seen[mark] {
			t.Errorf("another login has no mark of its own")
		} else {
			seen[mark] = true
		}
		if err := os.Rename(f.Name, f.Name+"x"); err != nil {
			t.Fatal(err)
		}
		if _, ok := l.mark(); ok {
			t.Error("a login of which a file is gone has a mark")
		}
		if err := os.Rename(f.Name+"x", f.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// A file that would have to be waited for, or is none, is an error that names its
// variable.
func TestNATSLogin_FilesThatAreNone(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	large, text := natstest.NewFile(t, strings.Repeat("x", 64<<10+1)).Name, natstest.NewFile(t, "x").Name
	for want, cfg := range map[string]config.NATSConfig{
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
		all := config.DefaultConfig()
		all.NATS = cfg
		if _, err := Connect(all, "test", nats.RetryOnFailedConnect(true)); err == nil || !strings.HasPrefix(err.Error(), want) && !strings.Contains(err.Error(), ": "+want) {
			t.Errorf("connect: %v, want %q", err, want)
		}
		if problems := cfg.CheckFiles(); len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), want) {
			t.Errorf("check: %v, want %q", problems, want)
		}
	}
}
