package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
)

// NATSKinds says which kinds of credentials there are.
type NATSKinds struct{ Creds, User, Token, CA, Cert bool }

// Kinds returns the kinds of c's credentials.
func (c NATSConfig) Kinds() NATSKinds {
	return NATSKinds{
		Creds: c.CredsFile != "", User: c.User != "", Token: c.Token != "" || c.TokenFile != "",
		CA: c.TLSCaFile != "", Cert: c.TLSCertFile != "",
	}
}

// ReadUserJWT returns the user's JWT that CredsFile holds now.
func (c *NATSConfig) ReadUserJWT() (string, error) {
	content, err := c.credentials()
	if err != nil {
		return "", err
	}
	jwt, err := nkeys.ParseDecoratedJWT(content)
	if err != nil {
		return "", errors.New("BRIDGE_NATS_CREDS_FILE: its file holds no user's JWT")
	}
	return jwt, nil
}

// UserJWT returns what the user's JWT says that CredsFile holds now: nil if there is none, or none that can be read.
func (c *NATSConfig) UserJWT() *jwt.UserClaims {
	if c.CredsFile == "" {
		return nil
	}
	token, err := c.ReadUserJWT()
	if err != nil {
		return nil
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return nil
	}
	return claims
}

// Sign signs nonce, by which nats-server asks who connects, with the key in CredsFile.
func (c *NATSConfig) Sign(nonce []byte) ([]byte, error) {
	content, err := c.credentials()
	if err != nil {
		return nil, err
	}
	pair, err := nkeys.ParseDecoratedNKey(content)
	if err != nil {
		return nil, errors.New("BRIDGE_NATS_CREDS_FILE: its file holds no key")
	}
	defer pair.Wipe()
	return pair.Sign(nonce)
}

// CheckCreds returns what is wrong with the credentials file now.
func (c *NATSConfig) CheckCreds() error {
	if _, err := c.ReadUserJWT(); err != nil {
		return err
	}
	_, err := c.Sign(nil)
	return err
}

func (c *NATSConfig) credentials() ([]byte, error) {
	content, err := ReadNATSFile("CREDS_FILE", c.CredsFile, amiconn.MaxSecretFile)
	return amiconn.TrimMark(content), err
}

// ReadPassword returns the password as it is now, in its file if one is named.
func (c *NATSConfig) ReadPassword() (setting.Secret, error) {
	return secretOr(c.Password, "BRIDGE_NATS_PASSWORD_FILE", c.PasswordFile)
}

// ReadToken returns the token as it is now, from its file if one is named.
func (c *NATSConfig) ReadToken() (setting.Secret, error) {
	return secretOr(c.Token, "BRIDGE_NATS_TOKEN_FILE", c.TokenFile)
}

// secretOr returns secret, or what its file has now if one is named.
func secretOr(secret setting.Secret, variable, file string) (setting.Secret, error) {
	if file == "" {
		return secret, nil
	}
	secret, err := amiconn.ReadSecretFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", variable, err)
	}
	return secret, nil
}

// ReadCertificate returns the client certificate and its key as the files have them now.
func (c *NATSConfig) ReadCertificate() (pair tls.Certificate, err error) {
	cert, err := ReadNATSFile("TLS_CERT_FILE", c.TLSCertFile, amiconn.MaxCertFile)
	if err != nil {
		return pair, err
	}
	key, err := ReadNATSFile("TLS_KEY_FILE", c.TLSKeyFile, amiconn.MaxSecretFile)
	if err != nil {
		return pair, err
	}
	if pair, err = tls.X509KeyPair(cert, key); err != nil {
		return pair, fmt.Errorf("BRIDGE_NATS_TLS_CERT_FILE and BRIDGE_NATS_TLS_KEY_FILE: %w", err)
	}
	return pair, nil
}

// ReadAuthorities returns the authorities that TLSCaFile holds now.
func (c *NATSConfig) ReadAuthorities() (*x509.CertPool, error) {
	pem, err := ReadNATSFile("TLS_CA_FILE", c.TLSCaFile, amiconn.MaxCertFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("BRIDGE_NATS_TLS_CA_FILE: its file holds no certificate in PEM")
	}
	return pool, nil
}

// ReadNATSFile returns what a file of credentials or certificates holds. The error names
// the variable BRIDGE_NATS_<setting>, and never the content.
func ReadNATSFile(setting, name string, limit setting.Bytes) ([]byte, error) {
	content, err := amiconn.ReadFile(name, limit)
	if err != nil {
		return nil, fmt.Errorf("BRIDGE_NATS_%s: its file cannot be read: %w", setting, err)
	}
	return content, nil
}

// TLS returns what the files that c names say of TLS now; nil if it names none.
func (c NATSConfig) TLS() (*tls.Config, error) {
	kinds := c.Kinds()
	if !kinds.CA && !kinds.Cert {
		return nil, nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if kinds.CA {
		if settings.RootCAs, err = c.ReadAuthorities(); err != nil {
			return nil, err
		}
	}
	if kinds.Cert {
		pair, err := c.ReadCertificate()
		if err != nil {
			return nil, err
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

// CheckFiles returns what is wrong with the files that c names, one error each.
func (c *NATSConfig) CheckFiles() []error {
	kinds := c.Kinds()
	var problems []error
	check := func(wanted bool, read func() error) {
		if wanted {
			if err := read(); err != nil {
				problems = append(problems, err)
			}
		}
	}
	check(c.PasswordFile != "" && c.Password == "", func() error { _, err := c.ReadPassword(); return err })
	check(c.TokenFile != "" && c.Token == "", func() error { _, err := c.ReadToken(); return err })
	check(kinds.CA, func() error { _, err := c.ReadAuthorities(); return err })
	check(kinds.Cert && c.TLSKeyFile != "", func() error { _, err := c.ReadCertificate(); return err })
	check(kinds.Creds, c.CheckCreds)
	return problems
}
