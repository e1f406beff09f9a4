package redact

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// Hidden stands where a secret was.
	Hidden = "[redacted]"
	// minKnown is the length, in bytes, from which a known secret is hidden
	// wherever it stands. A shorter one is part of too many harmless words: with
	// the secret "up" hidden no line would be readable, and where it was hidden
	// would tell it.
	minKnown = 4
)

// Options are what a Redactor hides besides what the table of names says. Each
// may be empty.
type Options struct {
	Known   []string               // secrets that are hidden wherever they stand, from four bytes on
	Names   func(name string) bool // names that are secret as well
	Pattern *regexp.Regexp         // text that is secret as well
}

// Redactor takes secrets out of text. It is safe for concurrent use.
type Redactor struct {
	names   func(string) bool
	pattern *regexp.Regexp
	known   atomic.Pointer[strings.Replacer] // nil without any

	mu      sync.Mutex // protects the following
	secrets []string
	first   int // how many of them were known at the start
}

// maxLearned is how many secrets are remembered that became known after the
// start. With more the oldest of those are forgotten.
const maxLearned = 1000

// New returns a Redactor.
func New(o Options) *Redactor {
	r := &Redactor{names: o.Names, pattern: o.Pattern, secrets: slices.Clone(o.Known), first: len(o.Known)}
	r.known.Store(replacer(r.secrets))
	return r
}

// Add has secrets hidden too that became known later. All are looked for anew,
// since a new one may hold an old one.
func (r *Redactor) Add(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := len(r.secrets)
	for _, secret := range secrets {
		if len(secret) >= minKnown && !slices.Contains(r.secrets, secret) {
			r.secrets = append(r.secrets, secret)
		}
	}
	if len(r.secrets) == known {
		return
	}
	if over := len(r.secrets) - r.first - maxLearned; over > 0 {
		r.secrets = slices.Delete(r.secrets, r.first, r.first+over)
	}
	r.known.Store(replacer(r.secrets))
}

// replacer returns what hides secrets, in plain and as Go, JSON and URLs spell
// them; nil if there is nothing to hide.
func replacer(secrets []string) *strings.Replacer {
	var all []string
	for _, secret := range secrets {
		if len(secret) < minKnown {
			continue
		}
		for _, text := range forms(secret) {
			quoted := strconv.Quote(text)
			object, _ := json.Marshal(text) // a string always has JSON
			_, userinfo, _ := strings.Cut(url.UserPassword("", text).String(), ":")
			all = append(all, text, quoted[1:len(quoted)-1], string(object[1:len(object)-1]), userinfo,
				url.QueryEscape(text), url.PathEscape(text))
		}
	}
	slices.SortFunc(all, func(a, b string) int { // the longest first, for one may begin another
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var pairs []string
	for _, secret := range slices.Compact(all) {
		pairs = append(pairs, secret, Hidden)
	}
	if len(pairs) == 0 {
		return nil
	}
	return strings.NewReplacer(pairs...)
}

// forms returns a secret as it is, as its bytes read in Latin-1, and with U+FFFD
// for each that is no UTF-8.
func forms(secret string) []string {
	var latin1 []rune
	for i := range len(secret) {
		latin1 = append(latin1, rune(secret[i]))
	}
	return []string{secret, string(latin1), string([]rune(secret))}
}

// Known returns s without the secrets that are known by heart.
func (r *Redactor) Known(s string) string {
	known := r.known.Load()
	if known == nil {
		return s
	}
	return known.Replace(s)
}

// Secret reports whether what has that name is to be hidden.
func (r *Redactor) Secret(name string) bool {
	return Name(name) || r.names != nil && r.names(name)
}

var (
	schemeRule = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://`)
	// nextURLRule is where the userinfo of a URL must have ended: at a space,
	// or before the next URL of a list.
	nextURLRule = regexp.MustCompile(`\s|[,;|"'<>(){}\[\]]+[A-Za-z][A-Za-z0-9+.-]*://`)
	// dialledRule is a password in what is dialled: sip:user:password@host,
	// IAX2/user:password@host, also without a user.
	dialledRule = regexp.MustCompile(`(?i)(?:\bsips?:|/)(?:sips?:)?([^\s:@/;,&"'<>]*):([^\s@]+)@`)
	bearerRule  = regexp.MustCompile(`(?i)\b(bearer)\s+(?:` + quotedWord + `|\S*[^\s,;])`)
	basicRule   = regexp.MustCompile(`(?i)\bbasic[ \t]+[A-Za-z0-9+/]+=*`)
	// shapeRule is what is secret by its looks: a JSON Web Token, a private key.
	shapeRule = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_.-]*|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*-----)?`)
)

// shapes returns s without what is secret whatever its name.
func (r *Redactor) shapes(s string) string {
	s = r.Known(s)
	if r.pattern != nil {
		s = r.pattern.ReplaceAllLiteralString(s, Hidden)
	}
	if strings.Contains(s, "://") {
		s = hideUserinfo(s)
	}
	if strings.Contains(s, "@") {
		s = hideDialled(s)
	}
	if strings.Contains(s, "eyJ") || strings.Contains(s, "-----BEGIN") {
		s = shapeRule.ReplaceAllLiteralString(s, Hidden)
	}
	return basicRule.ReplaceAllStringFunc(s, hideBasic)
}

// hideBasic hides what stands behind Basic if it is user:password in Base64, and not a word, as in basic rate.
func hideBasic(match string) string {
	at := strings.LastIndexAny(match, " \t") + 1
	proof, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(match[at:], "="))
	if err != nil || !bytes.Contains(proof, []byte(":")) {
		return match
	}
	return match[:at] + Hidden
}

// hideUserinfo hides user, password and token of the URLs in s. Whoever does
// not escape a password may have anything but a space in it.
func hideUserinfo(s string) string {
	var out strings.Builder
	for {
		scheme := schemeRule.FindStringIndex(s)
		if scheme == nil {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:scheme[1]])
		s = s[scheme[1]:]
		end := len(s)
		if next := nextURLRule.FindStringIndex(s); next != nil {
			end = next[0]
		}
		if at := strings.LastIndexByte(s[:end], '@'); at >= 0 {
			out.WriteString(Hidden)
			s = s[at:]
		}
	}
}

// hideDialled hides the passwords of what is dialled. The 100 of sip:100@host is
// none.
func hideDialled(s string) string {
	var out strings.Builder
	done := 0
	for _, m := range dialledRule.FindAllStringSubmatchIndex(s, -1) {
		if user := strings.ToLower(s[m[2]:m[3]]); user != "sip" && user != "sips" {
			out.WriteString(s[done:m[4]] + Hidden)
			done = m[5]
		}
	}
	out.WriteString(s[done:])
	return out.String()
}

var (
	// valueOfRule is what may be a name, a function with its arguments included,
	// and what separates it from its value: PIN=1, "secret": x, CDR(pin) = 2,
	// PJSIP_HEADER(add,Cookie)=3, <password>4.
	valueOfRule = regexp.MustCompile(`((?:[^=:,;&?"'<>()\r\n]*\([^()=\r\n]*\)|[^=:,;&?"'<>\r\n])+)[\\"')]*[ \t]*[=:>]`)
	// escapedEnds are what ends names where a URL holds another, of the same length as their escapes.
	escapedEnds = strings.NewReplacer("%3D", "  =", "%3d", "  =", "%3A", "  :", "%3a", "  :", "%3F", "  ?", "%3f", "  ?", "%26", "  &",
		"%23", "  #", "%2F", "  /", "%2f", "  /", "%3B", "  ;", "%3b", "  ;", "%22", `  "`)
	bearerAllRule = regexp.MustCompile(`(?i)\bbearer[ \t]`)
	wordRule      = regexp.MustCompile(`[^\s=:,;"'<>]+`)
)

// Value returns s, a value of an Action or a text of a peer, without secrets.
// Where the value of a name ends can be read in several ways, so that from the
// first secret name on all is hidden.
func (r *Redactor) Value(s string) string {
	s = r.shapes(s)
	if strings.ContainsAny(s, " \t") { // as behind each bearer
		if m := bearerAllRule.FindStringIndex(s); m != nil {
			s = s[:m[1]] + Hidden
		}
	}
	plain := s
	if strings.Contains(s, "%") {
		plain = escapedEnds.Replace(s)
	}
	if !strings.ContainsAny(plain, "=:>") { // one stands behind each name
		return s
	}
	for _, m := range valueOfRule.FindAllStringSubmatchIndex(plain, -1) {
		if r.Secret(plain[m[2]:m[3]]) {
			return s[:m[1]] + Hidden
		}
	}
	return s
}

// Command is Value for a line of Asterisk's console, where a value stands behind
// its name with a space between.
func (r *Redactor) Command(s string) string {
	s = r.Value(s)
	for _, m := range wordRule.FindAllStringIndex(s, -1) {
		behind := strings.TrimLeft(s[m[1]:], `\"'`) // a name may stand in quotes
		if (strings.HasPrefix(behind, " ") || strings.HasPrefix(behind, "\t")) && r.Secret(s[m[0]:m[1]]) {
			return s[:len(s)-len(behind)] + " " + Hidden
		}
	}
	return s
}
