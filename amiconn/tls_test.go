package amiconn

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// listenTLS shakes hands with whoever comes, until the test ends.
func listenTLS(t *testing.T, settings *tls.Config) (addr string) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", settings)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return listener.Addr().String()
}

// dialTLS returns how a connect ends.
func dialTLS(t *testing.T, addr string, change func(*Config)) error {
	t.Helper()
	cfg := valid()
	cfg.Addr, cfg.TLS, cfg.ConnectTimeout = addr, true, time.Minute
	change(&cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	conn, err := dial(t.Context(), &cfg, new(net.Dialer).DialContext, cfg.ConnectTimeout)
	if err == nil {
		conn.Close()
	}
	return err
}

func wantError(t *testing.T, what string, err error, want ...string) {
	t.Helper()
	if len(want) == 0 && err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for _, text := range want {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", what, err, text)
		}
	}
	if err != nil && ReasonOf(err) != ReasonTLS {
		t.Errorf("%s: reason %s", what, ReasonOf(err))
	}
}

// pin reads pins as the environment would.
func pin(t *testing.T, text string) Pins {
	t.Helper()
	var pins Pins
	if err := pins.Decode(text); err != nil {
		t.Fatal(err)
	}
	return pins
}

// The certificate is one of contrib/scripts/ast_tls_cert: X.509 version 1, no
// name but the CN pbx.test, signed by an authority of its own.
func TestTLS_CertificateWithACNOnly(t *testing.T) {
	const ca = "testdata/cn-only-ca.crt"
	cert, err := tls.LoadX509KeyPair("testdata/cn-only.pem", "testdata/cn-only.pem")
	if err != nil {
		t.Fatal(err)
	}
	addr := listenTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	// As printed by: openssl x509 -in cn-only.pem -noout -pubkey | openssl pkey -pubin -outform der | sha256sum
	const good = "d8af9f3a3e55c64698592b483e9a1d619db56d76d8d0bdfc118635c648a4c618"
	other := strings.Repeat("ab", 32)
	fingerprint := sha256.Sum256(cert.Certificate[0])
	try := func(what string, change func(*Config), want ...string) {
		t.Helper()
		wantError(t, what, dialTLS(t, addr, change), want...)
	}
	try("the authority alone", func(c *Config) { c.TLSCaFile = ca },
		`no name but its CN, "pbx.test"`, "TLS_SERVER_NAME=pbx.test accepts", "TLS_PIN_SHA256 its public key")
	try("its own variables", func(c *Config) {
		c.TLSCaFile, c.Variables = ca, map[string]string{"TLS_SERVER_NAME": "BRIDGE_AMI_TLS_SERVER_NAME", "TLS_PIN_SHA256": "BRIDGE_AMI_TLS_PIN_SHA256"}
	}, "BRIDGE_AMI_TLS_SERVER_NAME=pbx.test accepts that name, BRIDGE_AMI_TLS_PIN_SHA256 its public key (check prints it)")
	try("nothing", func(*Config) {}, "unknown authority", "TLS_CA_FILE", "TLS_PIN_SHA256")
	try("the name alone", func(c *Config) { c.TLSServerName = "pbx.test" }, "unknown authority")
	try("authority and name", func(c *Config) { c.TLSCaFile, c.TLSServerName = ca, "PBX.test" })
	try("authority and another name", func(c *Config) { c.TLSCaFile, c.TLSServerName = ca, "pbx2.test" }, `no name but its CN, "pbx.test"`)
	try("a pin", func(c *Config) { c.TLSPinSha256 = pin(t, good) })
	try("a pin in the other spelling, one of two", func(c *Config) {
		upper := strings.ToUpper(good)
		var pairs []string
		for i := 0; i < len(upper); i += 2 {
			pairs = append(pairs, upper[i:i+2])
		}
		c.TLSPinSha256 = pin(t, other+" , "+strings.Join(pairs, ":"))
	})
	try("another pin", func(c *Config) { c.TLSPinSha256 = pin(t, other) }, "the server's public key is none of TLS_PIN_SHA256")
	try("another pin, for all that an authority says", func(c *Config) {
		c.TLSCaFile, c.TLSServerName, c.TLSPinSha256 = ca, "pbx.test", pin(t, other)
	}, "none of TLS_PIN_SHA256")
	try("the fingerprint of the certificate", func(c *Config) { c.TLSPinSha256 = pin(t, hex.EncodeToString(fingerprint[:])) },
		"the fingerprint of the server's certificate, not that of its public key")
	try("a pin and its authority", func(c *Config) { c.TLSCaFile, c.TLSPinSha256 = ca, pin(t, good) })
	try("a pin and another name", func(c *Config) { c.TLSServerName, c.TLSPinSha256 = "pbx2.test", pin(t, good) }, "its CN")
	wrong := filepath.Join(t.TempDir(), "ca.pem")
	_, pem, err := amisim.NewCertificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(wrong, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	try("a pin and another authority", func(c *Config) { c.TLSCaFile, c.TLSPinSha256 = wrong, pin(t, good) }, "unknown authority")
	// Nobody has asked for the CN, although the address has it.
	cfg := valid()
	cfg.Addr, cfg.TLS, cfg.TLSCaFile, cfg.ConnectTimeout = "pbx.test:5039", true, ca, time.Minute
	_, err = dial(t.Context(), &cfg, func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}, cfg.ConnectTimeout)
	wantError(t, "an address that is the CN", err, `no name but its CN, "pbx.test"`)
	peer, err := PeerOf(t.Context(), func() Config { c := valid(); c.Addr, c.ConnectTimeout = addr, time.Minute; return c }(), new(net.Dialer).DialContext)
	if err != nil || PinOf(peer.Certificate).String() != good || peer.Version != "TLS 1.3" {
		t.Errorf("the peer is %v, %v", peer.Version, err)
	}
}

// A name in TLS_SERVER_NAME is looked for in place of the address, and a CN
// beside other names is no name.
func TestTLS_ServerName(t *testing.T) {
	cert, pem, err := amisim.NewCertificate("pbx.test")
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	addr := listenTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	wantError(t, "the name", dialTLS(t, addr, func(c *Config) { c.TLSCaFile, c.TLSServerName = ca, "pbx.test" }))
	wantError(t, "the address", dialTLS(t, addr, func(c *Config) { c.TLSCaFile = ca }), "127.0.0.1", "TLS_SERVER_NAME wants a name that is in the certificate")
	wantError(t, "the CN", dialTLS(t, addr, func(c *Config) { c.TLSCaFile, c.TLSServerName = ca, "amisim" }), "not amisim", "TLS_SERVER_NAME wants")
	fifo := filepath.Join(t.TempDir(), "none")
	wantError(t, "no file", dialTLS(t, addr, func(c *Config) { c.TLSCaFile = fifo }), "TLS_CA_FILE: its file cannot be read: no such file")
	wantError(t, "no PEM", dialTLS(t, addr, func(c *Config) { c.TLSCaFile = "tls.go" }), "TLS_CA_FILE: its file holds no certificate in PEM")
}

// Old versions and key exchange by RSA are taken only where that is said.
func TestTLS_LegacyIsAChoice(t *testing.T) {
	cert, err := tls.LoadX509KeyPair("testdata/cn-only.pem", "testdata/cn-only.pem")
	if err != nil {
		t.Fatal(err)
	}
	pins := Pins{PinOf(leafOf(t, cert))}
	for what, settings := range map[string]*tls.Config{
		"TLS 1.0":             {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
		"TLS 1.1":             {MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11},
		"key exchange by RSA": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
	} {
		settings.Certificates = []tls.Certificate{cert}
		addr := listenTLS(t, settings)
		wantError(t, what, dialTLS(t, addr, func(c *Config) { c.TLSPinSha256 = pins }), "TLS_LEGACY=on takes them")
		wantError(t, what, dialTLS(t, addr, func(c *Config) { c.TLSPinSha256, c.TLSLegacy = pins, true }))
	}
	broken := listenTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}})
	if err := dialTLS(t, broken, func(c *Config) { c.TLSPinSha256, c.TLSLegacy = pins, true }); err == nil {
		t.Error("RC4 is taken")
	}
}

func leafOf(t *testing.T, cert tls.Certificate) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestPins_Decode(t *testing.T) {
	for _, bad := range []string{"x", "ab", strings.Repeat("ab", 31), strings.Repeat("ab", 33), strings.Repeat("ab", 32) + ";" + strings.Repeat("ab", 32)} {
		if err := new(Pins).Decode(bad); err == nil || !strings.Contains(err.Error(), "64 hexadecimal digits") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, setting := range []func(*Config){
		func(c *Config) { c.TLSPinSha256 = Pins{{}} }, func(c *Config) { c.TLSServerName = "x" },
		func(c *Config) { c.TLSLegacy = true }, func(c *Config) { c.TLSCaFile = "x" },
	} {
		cfg := valid()
		setting(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "is set while TLS is off") {
			t.Errorf("without TLS: %v", err)
		}
	}
}

// valid is a configuration that passes.
func valid() Config {
	cfg := DefaultConfig()
	cfg.Name, cfg.Addr, cfg.Username, cfg.Secret = "pbx1", testAddr, "bridge", testSecret
	return cfg
}
