package redact

import (
	"regexp"
	"strings"
)

var (
	md5Rule        = regexp.MustCompile(`^["']?[0-9a-fA-F]{32}`)
	quotedWordRule = regexp.MustCompile(`^` + quotedWord)
	// namedRule finds what may be a name, a function with its arguments included,
	// a separator and a value: secret=x, Secret: x, "secret":"x", CDR(pin) = x.
	namedRule  = regexp.MustCompile(`([\p{L}\p{N}][\p{L}\p{M}\p{N}_.-]*(?:\([^()=:\r\n"']*\))?)\)?(?:\\?["'])?([ \t]*(?:=>|[:=])[ \t]*)`)
	quotedRule = regexp.MustCompile(`^(?:\\"(?:[^"\\]|\\[^"])*\\"|"(?:[^"\\]|\\.)*"|'[^']*')(?:$|[\s,;&)}\]\\])`)
	// systemErrorRule is what an operation on a file ends with, as in
	// "open /run/secrets/nats.creds: no such file or directory".
	systemErrorRule = regexp.MustCompile(`^(?:no such file or directory|permission denied|is a directory|not a directory|too many open files|` +
		`input/output error|no space left on device|file name too long|too many levels of symbolic links)(?:[\r\n"':;,)\]\\]|$)`)
	// authSchemeRule is the word that goes before the secret in a header of HTTP or SIP.
	authSchemeRule = regexp.MustCompile(`^(?i:basic|bearer|digest|token|apikey|negotiate|ntlm)[ \t]+`)
	// lineEndRule is the end of an AMI header, as it is or as %q prints it.
	lineEndRule = regexp.MustCompile(`[\r\n]|\\[rn]`)
)

// quotedWord is a word that begins with a quote, and in which quotes hold
// spaces together; one that is not closed holds all that follows.
const (
	quotedText = `(?:\\"(?:[^"\\]|\\[^"])*(?:\\"|$)|"(?:[^"\\]|\\.)*(?:"|$)|'[^']*(?:'|$))`
	quotedWord = quotedText + `(?:` + quotedText + `|\S)*`
)

// Line returns s, text of a log line, without its secrets. What is not secret
// stays readable: the value of a name ends at its closing quote, at a space or
// at the end of an AMI header. What can be read in two ways is hidden.
func (r *Redactor) Line(s string) string {
	if s == "" {
		return s
	}
	s = bearerRule.ReplaceAllString(r.shapes(s), "${1} "+Hidden)
	if strings.ContainsAny(s, ":=") {
		s = r.values(s)
	}
	return s
}

// Key reports whether the field of a log line that has that name is to be
// hidden. Key alone is the proof in an AMI Login.
func (r *Redactor) Key(name string) bool {
	return strings.EqualFold(name, "key") || r.Secret(name)
}

// values hides what stands behind a secret name.
func (r *Redactor) values(s string) string {
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
		line := lastLine(s[:start])
		if !r.Key(name) || !r.Secret(name) && (line != "" || separator[0] != ':') && !md5Rule.MatchString(s[at:]) {
			continue // much else is called key, as in "parse private key: no PEM"
		}
		if start > 0 && s[start-1] == '/' && systemErrorRule.MatchString(s[at:]) {
			continue // a file's name, and what is the matter with it
		}
		// Only name=value ends at a space. In a Variable header it does not.
		inLine := separator == "=" && !strings.Contains(strings.ToLower(line), "variable")
		if end := at + valueEnd(s[at:], inLine); end > at {
			out.WriteString(s[done:at])
			out.WriteString(Hidden)
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
		if scheme := authSchemeRule.FindString(s[:end]); scheme != "" {
			if strings.EqualFold(strings.TrimSpace(scheme), "digest") { // name="value", and so on
				return end
			}
			return len(scheme) + valueEnd(s[len(scheme):], inLine)
		}
		if word := quotedWordRule.FindString(s[:end]); word != "" {
			return len(word)
		}
		if space := strings.IndexAny(s[:end], " \t"); space >= 0 {
			end = space
		}
	}
	return end
}
