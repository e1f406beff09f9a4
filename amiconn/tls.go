package amiconn

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Pin is the SHA-256 of a certificate's public key (its SubjectPublicKeyInfo, as
// RFC 7469 has it): it stays when the certificate is renewed for the same key.
type Pin [sha256.Size]byte

// PinOf returns the pin that accepts certificate.
func PinOf(certificate *x509.Certificate) Pin {
	return sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
}

// String returns 64 hexadecimal digits.
func (p Pin) String() string { return hex.EncodeToString(p[:]) }

// Pins are the public keys that a server may have; several while one takes the
// place of another.
type Pins []Pin

// Decode reads pins separated by commas, with or without colons between bytes.
func (p *Pins) Decode(text string) error {
	list := Pins{}
	for entry := range strings.SplitSeq(text, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		raw, err := hex.DecodeString(strings.ReplaceAll(entry, ":", ""))
		if err != nil || len(raw) != sha256.Size {
			return errors.New("wants SHA-256 of public keys, 64 hexadecimal digits each, separated by commas: check prints a server's")
		}
		list = append(list, Pin(raw))
	}
	*p = list
	return nil
}

// String returns the pins separated by commas.
func (p Pins) String() string {
	texts := make([]string, len(p))
	for i := range p {
		texts[i] = p[i].String()
	}
	return strings.Join(texts, ",")
}

// handshake makes conn a TLS connection to the server of cfg that is who it has
// to be.
func handshake(ctx context.Context, conn net.Conn, cfg *Config) (net.Conn, error) {
	trusted, err := newTrust(cfg)
	if err != nil {
		return nil, err
	}
	settings := tlsSettings(cfg)
	settings.VerifyConnection = trusted.verify
	secure := tls.Client(conn, settings)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, explain(err, cfg)
	}
	return secure, nil
}

// tlsSettings verifies nothing by itself: VerifyConnection has to.
func tlsSettings(cfg *Config) *tls.Config {
	settings := &tls.Config{ServerName: cfg.tlsName(), MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
	if cfg.TLSLegacy {
		settings.MinVersion = tls.VersionTLS10
		settings.CipherSuites = legacySuites()
	}
	return settings
}

// tlsName is the name that the server's certificate has to have.
func (c *Config) tlsName() string {
	host, _, _ := net.SplitHostPort(c.Addr) // Validate has seen that it has one
	return cmp.Or(c.TLSServerName, host)
}

// legacySuites are those of Go, and those that exchange keys by RSA with AES.
// What is broken for all purposes, RC4 and 3DES, stays away.
func legacySuites() []uint16 {
	var ids []uint16
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !strings.Contains(suite.Name, "RC4") && !strings.Contains(suite.Name, "3DES") {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}

// explain says what to set where a handshake failed for want of old TLS.
func explain(err error, cfg *Config) error {
	text := err.Error()
	for _, old := range []string{"handshake failure", "protocol version", "unconfigured cipher suite"} {
		if strings.Contains(text, old) && !bool(cfg.TLSLegacy) {
			return fmt.Errorf("%w: if this Asterisk knows only TLS 1.0 or 1.1, or key exchange by RSA, %s=on takes them",
				err, cfg.Variable("TLS_LEGACY"))
		}
	}
	return err
}

// trust is what a server's certificate has to be.
type trust struct {
	cfg   *Config
	roots *x509.CertPool // nil for the system's
}

// newTrust reads TLS_CA_FILE, which is so read anew for each connection and can
// be renewed in place.
func newTrust(cfg *Config) (*trust, error) {
	t := &trust{cfg: cfg}
	if cfg.TLSCaFile == "" {
		return t, nil
	}
	pem, err := ReadFile(cfg.TLSCaFile, MaxCertFile)
	if err != nil {
		return nil, fmt.Errorf("%s: its file cannot be read: %w", cfg.Variable("TLS_CA_FILE"), err)
	}
	t.roots = x509.NewCertPool()
	if !t.roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: its file holds no certificate in PEM", cfg.Variable("TLS_CA_FILE"))
	}
	return t, nil
}

// verify checks the pins, and the chain and the name. Pins are enough by
// themselves; an authority and a name that are given beside them count too.
func (t *trust) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server has no certificate")
	}
	leaf, pinned := s.PeerCertificates[0], len(t.cfg.TLSPinSha256) > 0
	if pinned {
		if err := t.pinned(leaf); err != nil {
			return err
		}
	}
	if !pinned || t.roots != nil {
		if err := t.chain(s.PeerCertificates); err != nil {
			return err
		}
	}
	if !pinned || t.cfg.TLSServerName != "" {
		return t.named(leaf)
	}
	return nil
}

func (t *trust) pinned(leaf *x509.Certificate) error {
	if slices.Contains(t.cfg.TLSPinSha256, PinOf(leaf)) {
		return nil
	}
	name := t.cfg.Variable("TLS_PIN_SHA256")
	if slices.Contains(t.cfg.TLSPinSha256, sha256.Sum256(leaf.Raw)) {
		return fmt.Errorf("%s has the fingerprint of the server's certificate, not that of its public key: check prints it", name)
	}
	return fmt.Errorf("the server's public key is none of %s: has it been renewed, or is this another server?", name)
}

func (t *trust) chain(certificates []*x509.Certificate) error {
	options := x509.VerifyOptions{Roots: t.roots, Intermediates: x509.NewCertPool(), CurrentTime: time.Now()}
	for _, c := range certificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := certificates[0].Verify(options)
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		return fmt.Errorf("%w: name its authority in %s, or its public key in %s (check prints it)",
			err, t.cfg.Variable("TLS_CA_FILE"), t.cfg.Variable("TLS_PIN_SHA256"))
	}
	return err
}

// named wants the name in the certificate. One that has nothing but a CN, as
// Asterisk's own contrib/scripts/ast_tls_cert makes them, is named by that only
// for whoever has said so by TLS_SERVER_NAME: else CNs are not looked at, as
// everywhere today (RFC 9525).
func (t *trust) named(leaf *x509.Certificate) error {
	name := t.cfg.tlsName()
	err := leaf.VerifyHostname(name)
	if err == nil {
		return nil
	}
	cn := leaf.Subject.CommonName
	only := cn != "" && len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.URIs)+len(leaf.EmailAddresses) == 0
	server, pin := t.cfg.Variable("TLS_SERVER_NAME"), t.cfg.Variable("TLS_PIN_SHA256")
	switch {
	case only && t.cfg.TLSServerName != "" && strings.EqualFold(cn, name):
		return nil
	case only:
		return fmt.Errorf("the certificate has no name but its CN, %.100q (Asterisk's ast_tls_cert makes such): "+
			"%s=%.100s accepts that name, %s its public key (check prints it)", cn, server, cn, pin)
	}
	return fmt.Errorf("%w: %s wants a name that is in the certificate, %s accepts its public key (check prints it)", err, server, pin)
}

// Peer is what a server's port for TLS shows.
type Peer struct {
	Certificate *x509.Certificate
	// Version is that of TLS.
	Version string
}

// PeerOf shakes hands with the server of cfg and hangs up: whoever is there is
// told nothing, and need not be trusted.
func PeerOf(ctx context.Context, cfg Config, d DialFunc) (Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	conn, err := d(ctx, "tcp", cfg.Addr)
	if err != nil {
		return Peer{}, err
	}
	defer conn.Close()
	secure := tls.Client(conn, tlsSettings(&cfg))
	if err := secure.HandshakeContext(ctx); err != nil {
		return Peer{}, explain(err, &cfg)
	}
	state := secure.ConnectionState()
	if len(state.PeerCertificates) == 0 {
		return Peer{}, errors.New("the server has no certificate")
	}
	return Peer{state.PeerCertificates[0], tls.VersionName(state.Version)}, nil
}
