package config

import "github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"

// Web is where the page is served.
type Web uint8

const (
	// WebAuto serves it on a loopback address only.
	WebAuto Web = iota
	// WebOn serves it wherever HTTPAddr listens.
	WebOn
	// WebOff serves none.
	WebOff
)

func (w Web) String() string { return setting.Choice(w, "auto", "on", "off") }

// UnmarshalText accepts auto, on and off.
func (w *Web) UnmarshalText(text []byte) error { return setting.Choose(w, text, "auto", "on", "off") }

// WebNumbers is how much of a caller's number is shown.
type WebNumbers uint8

// The ways to show them: not at all, the last four digits, whole.
const (
	WebNumbersNone WebNumbers = iota
	WebNumbersLast4
	WebNumbersFull
)

func (n WebNumbers) String() string { return setting.Choice(n, "none", "last4", "full") }

// UnmarshalText accepts none, last4 and full.
func (n *WebNumbers) UnmarshalText(text []byte) error {
	return setting.Choose(n, text, "none", "last4", "full")
}

// ReadWebPassword returns the page's password as it is now, in its file if one is named.
func (c *Config) ReadWebPassword() (setting.Secret, error) {
	return secretOr(c.WebPassword, "BRIDGE_WEB_PASSWORD_FILE", c.WebPasswordFile)
}
