package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
)

// redactor knows what is secret. Its zero value has the built-in rules only.
// It is safe for concurrent use.
type redactor struct {
	keys     globList          // names that are secret as well; may be nil
	pattern  *regexp.Regexp    // text that is secret as well; may be nil
	literals *strings.Replacer // secrets that are known by heart; may be nil
}

// minLiteral is the length, in bytes, from which a known secret is hidden
// wherever it stands. A shorter one is part of too many harmless words: with
// the secret "up" hidden no line would be readable, and where it was hidden
// would tell it.
const minLiteral = 4

// newRedactor knows the secrets of s besides what every redactor knows.
func newRedactor(s *settings) *redactor {
	known := append(s.bridge.Secrets(), string(s.base.Secret))
	return &redactor{keys: s.LogRedactKeys, pattern: s.LogRedactPattern.Regexp, literals: spelled(known)}
}

// spelled returns what replaces the secrets, in plain and as Go, JSON and URLs
// spell them; nil if there is nothing to replace.
func spelled(secrets []string) *strings.Replacer {
	var all []string
	for _, secret := range secrets {
		if len(secret) < minLiteral {
			continue
		}
		for _, text := range bridge.SecretForms(secret) {
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
		pairs = append(pairs, secret, redacted)
	}
	if len(pairs) == 0 {
		return nil
	}
	return strings.NewReplacer(pairs...)
}

// secret reports whether what has that name is to be hidden. Key alone is the
// proof in an AMI Login.
func (r *redactor) secret(name string) bool {
	return strings.EqualFold(name, "key") || bridge.SecretName(name) || r.keys.match(name)
}

var (
	schemeRule = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://`)
	// nextURLRule is where the userinfo of a URL must have ended: at a space,
	// or before the next URL of a list.
	nextURLRule    = regexp.MustCompile(`\s|[,;|"'<>(){}\[\]]+[A-Za-z][A-Za-z0-9+.-]*://`)
	bearerRule     = regexp.MustCompile(`(?i)\b(bearer)\s+(?:` + quotedWord + `|\S*[^\s,;])`)
	md5Rule        = regexp.MustCompile(`^["']?[0-9a-fA-F]{32}`)
	quotedWordRule = regexp.MustCompile(`^` + quotedWord)
	// namedRule finds what may be a name, a separator and a value: secret=x,
	// Secret: x, "secret":"x", CDR(pin) = x.
	namedRule  = regexp.MustCompile(`([A-Za-z][A-Za-z0-9_.-]*)\)?(?:\\?["'])?([ \t]*(?:=>|[:=])[ \t]*)`)
	quotedRule = regexp.MustCompile(`^(?:\\"(?:[^"\\]|\\[^"])*\\"|"(?:[^"\\]|\\.)*"|'[^']*')(?:$|[\s,;&)}\]\\])`)
	// systemErrorRule is what an operation on a file ends with, as in
	// "open /run/secrets/nats.creds: no such file or directory".
	systemErrorRule = regexp.MustCompile(`^(?:no such file or directory|permission denied|is a directory|not a directory|too many open files|` +
		`input/output error|no space left on device|file name too long|too many levels of symbolic links)(?:[\r\n"':;,)\]\\]|$)`)
	// lineEndRule is the end of an AMI header, as it is or as %q prints it.
	lineEndRule = regexp.MustCompile(`[\r\n]|\\[rn]`)
)

// quotedWord is a word that begins with a quote, and in which quotes hold
// spaces together; one that is not closed holds all that follows.
const (
	quotedText = `(?:\\"(?:[^"\\]|\\[^"])*(?:\\"|$)|"(?:[^"\\]|\\.)*(?:"|$)|'[^']*(?:'|$))`
	quotedWord = quotedText + `(?:` + quotedText + `|\S)*`
)

// text returns s without its secrets. What can be read in two ways is hidden.
func (r *redactor) text(s string) string {
	if s == "" {
		return s
	}
	s = r.known(s)
	if r.pattern != nil {
		s = r.pattern.ReplaceAllLiteralString(s, redacted)
	}
	if strings.Contains(s, "://") {
		s = hideUserinfo(s)
	}
	s = bearerRule.ReplaceAllString(s, "${1} "+redacted)
	if strings.ContainsAny(s, ":=") {
		s = r.values(s)
	}
	return s
}

// known returns s without the secrets that are known by heart.
func (r *redactor) known(s string) string {
	if r.literals == nil {
		return s
	}
	return r.literals.Replace(s)
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
			out.WriteString(redacted)
			s = s[at:]
		}
	}
}

// values hides what stands behind a secret name.
func (r *redactor) values(s string) string {
	var out strings.Builder
	done := 0
	for at := 0; ; {
		m := namedRule.FindStringSubmatchIndex(s[at:])
		if m == nil {
			break
		}
		start, name, separator := at+m[2], s[at+m[2]:at+m[3]], s[at+m[4]:at+m[5]]
		at += m[1]
		if start > 0 && s[start-1] == '\\' && strings.Contains("rnt", name[:1]) { // an escape of %q
			start, name = start+1, name[1:]
		}
		if !r.secret(name) {
			continue
		}
		if start > 0 && s[start-1] == '/' && systemErrorRule.MatchString(s[at:]) {
			continue // a file's name, and what is the matter with it
		}
		line := lastLine(s[:start])
		if strings.EqualFold(name, "key") && !r.keys.match(name) && (line != "" || separator[0] != ':') && !md5Rule.MatchString(s[at:]) {
			continue // much else is called key, as in "parse private key: no PEM"
		}
		// Only name=value ends at a space. In a Variable header it does not.
		inLine := separator == "=" && !strings.Contains(strings.ToLower(line), "variable")
		if end := at + valueEnd(s[at:], inLine); end > at {
			out.WriteString(s[done:at])
			out.WriteString(redacted)
			at, done = end, end
		}
	}
	if done == 0 {
		return s
	}
	out.WriteString(s[done:])
	return out.String()
}

// lastLine returns what stands behind the last line end in s.
func lastLine(s string) string {
	ends := lineEndRule.FindAllStringIndex(s, -1)
	if len(ends) == 0 {
		return s
	}
	return s[ends[len(ends)-1][1]:]
}

// valueEnd returns how long the value is that s begins with: up to its closing
// quote, to a space if it is one word in a line, or to the end of the line.
func valueEnd(s string, inLine bool) int {
	if m := quotedRule.FindStringIndex(s); m != nil {
		quote := s[:1]
		if s[0] == '\\' {
			quote = s[:2]
		}
		return strings.LastIndex(s[:m[1]], quote) + len(quote)
	}
	end := len(s)
	if m := lineEndRule.FindStringIndex(s); m != nil {
		end = m[0]
	}
	if inLine {
		if word := quotedWordRule.FindString(s[:end]); word != "" {
			return len(word)
		}
		if space := strings.IndexAny(s[:end], " \t"); space >= 0 {
			end = space
		}
	}
	return end
}

// globList are patterns as path.Match has them.
type globList []string

// Decode reads patterns separated by commas.
func (g *globList) Decode(text string) error {
	list := globList{}
	for pattern := range strings.SplitSeq(text, ",") {
		if pattern = strings.TrimSpace(pattern); pattern == "" {
			continue
		}
		if _, err := path.Match(pattern, ""); err != nil {
			return errors.New("wants patterns of field keys such as card*,pin")
		}
		list = append(list, pattern)
	}
	*g = list
	return nil
}

// match reports whether some pattern matches name, ignoring case.
func (g globList) match(name string) bool {
	return slices.ContainsFunc(g, func(glob string) bool {
		ok, _ := path.Match(strings.ToLower(glob), strings.ToLower(name)) // checked when it was read
		return ok
	})
}

func (g globList) String() string { return strings.Join(g, ",") }

// pattern is a regular expression, or none.
type pattern struct{ *regexp.Regexp }

// Decode reads a regular expression of Go's.
func (p *pattern) Decode(text string) error {
	compiled, err := regexp.Compile(text)
	if err != nil || compiled.MatchString("") {
		return errors.New("wants a regular expression (RE2) that does not match empty text, such as card=[0-9]+")
	}
	p.Regexp = compiled
	return nil
}

// String returns "[redacted]", or "" for none: what is to be hidden may stand
// in the expression.
func (p pattern) String() string {
	if p.Regexp == nil {
		return ""
	}
	return redacted
}
