package bridge

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	// secretWords make a name secret as a word of it, secretEnds at the end of
	// a word. A name's words are what stands between its other characters and
	// its capitals, so that monkey, keypad and author are none.
	secretWords = strings.Fields(`secrets passwords passcode pwd pin cvv cvc card cardnumber creds bearer authorization
		apikey accesskey privatekey authkey loginkey sharedkey signingkey encryptionkey`)
	secretEnds = strings.Fields(`secret password passwd passphrase token credential credentials`)
	wordRule   = regexp.MustCompile(`[A-Z]+[a-z]*|[a-z]+`)
)

// SecretName reports whether what has that name, a field of a log line or of an
// Action or a channel's variable, is secret as a rule.
func SecretName(name string) bool {
	before := ""
	for _, word := range wordRule.FindAllString(name, -1) {
		word = strings.ToLower(word)
		if slices.Contains(secretWords, word) || word == "key" && slices.Contains(secretWords, before+word) ||
			slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(word, end) }) {
			return true
		}
		before = word
	}
	return false
}

// SecretForms returns a secret as it is, as its bytes read in Latin-1, and with
// U+FFFD for each that is no UTF-8.
func SecretForms(secret string) []string {
	var latin1 []rune
	for i := range len(secret) {
		latin1 = append(latin1, rune(secret[i]))
	}
	return []string{secret, string(latin1), string([]rune(secret))}
}

// Secrets returns the secrets of c, as files have them now, some perhaps empty:
// those of the servers and of NATS, its URL's as they are spelled there and in
// plain.
func (c *Config) Secrets() []string {
	// A file that cannot be read has none to keep.
	password, _ := c.NATS.ReadPassword()
	token, _ := c.NATS.token()
	secrets := []string{string(password), string(token)}
	for i := range c.Servers {
		secret, _ := c.Servers[i].ReadSecret()
		secrets = append(secrets, string(secret))
	}
	for u := range strings.SplitSeq(c.NATS.URL, ",") {
		if _, rest, ok := strings.Cut(u, "://"); ok {
			u = rest
		}
		userinfo := u[:max(0, strings.LastIndexByte(u, '@'))]
		secret := userinfo // a token, unless there is a user
		if _, password, ok := strings.Cut(userinfo, ":"); ok {
			secret = password
		}
		secrets = append(secrets, secret)
		if plain, err := url.PathUnescape(secret); err == nil {
			secrets = append(secrets, plain)
		}
	}
	return secrets
}
