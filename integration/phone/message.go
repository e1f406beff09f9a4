package phone

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// message is a request or a response.
type message struct {
	line    string // without its CRLF
	headers []header
	body    string
}

type header struct{ name, value string }

// parse reads a datagram, which holds one message.
func parse(datagram string) (m message) {
	head, body, _ := strings.Cut(datagram, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	m.line, m.body = lines[0], body
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		m.headers = append(m.headers, header{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return m
}

// get returns the first header of that name, "" if there is none.
func (m message) get(name string) string {
	if i := slices.IndexFunc(m.headers, func(h header) bool { return strings.EqualFold(h.name, name) }); i >= 0 {
		return m.headers[i].value
	}
	return ""
}

// String is m as it is sent.
func (m message) String() string {
	var b strings.Builder
	b.WriteString(m.line + "\r\n")
	for _, h := range m.headers {
		b.WriteString(h.name + ": " + h.value + "\r\n")
	}
	if m.body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(m.body), m.body)
	return b.String()
}

// method is that of a request, "" of a response.
func (m message) method() string {
	method, _, _ := strings.Cut(m.line, " ")
	if method == "SIP/2.0" {
		return ""
	}
	return method
}

// status is that of a response, 0 of a request.
func (m message) status() int {
	rest, _ := strings.CutPrefix(m.line, "SIP/2.0 ")
	code, _, _ := strings.Cut(rest, " ")
	status, _ := strconv.Atoi(code)
	return status
}

// answers reports whether m is the response that ends request.
func (m message) answers(request message) bool {
	return m.status() >= 200 && m.get("Call-ID") == request.get("Call-ID") && m.get("CSeq") == request.get("CSeq")
}

// response answers a request with what is the phone's own: its tag, and what else it says.
func (m message) response(tag string, own []header, body string) message {
	r := message{line: "SIP/2.0 200 OK", body: body}
	for _, h := range m.headers {
		switch strings.ToLower(h.name) {
		case "via", "from", "call-id", "cseq":
			r.headers = append(r.headers, h)
		case "to":
			if !strings.Contains(h.value, ";tag=") {
				h.value += ";tag=" + tag
			}
			r.headers = append(r.headers, h)
		}
	}
	r.headers = append(r.headers, own...)
	return r
}

// uri returns the address in a From, To or Contact.
func uri(value string) string {
	if _, rest, ok := strings.Cut(value, "<"); ok {
		value, _, _ = strings.Cut(rest, ">")
		return value
	}
	value, _, _ = strings.Cut(value, ";")
	return value
}

var parameter = regexp.MustCompile(`(\w+)="?([^",]*)"?`)

// digest answers a challenge for a request (RFC 2617): Asterisk's is of MD5, and
// chan_sip's has no qop.
func digest(challenge, method, uri, user, secret string) string {
	has := map[string]string{}
	for _, p := range parameter.FindAllStringSubmatch(strings.TrimPrefix(challenge, "Digest "), -1) {
		has[p[1]] = p[2]
	}
	sum := func(parts ...string) string {
		s := md5.Sum([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(s[:])
	}
	parts := []string{sum(user, has["realm"], secret), has["nonce"]}
	answer := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=MD5`, user, has["realm"], has["nonce"], uri)
	if has["qop"] != "" {
		const count, own = "00000001", "phone"
		parts = append(parts, count, own, "auth")
		answer += `, qop=auth, nc=` + count + `, cnonce="` + own + `"`
	}
	if has["opaque"] != "" {
		answer += `, opaque="` + has["opaque"] + `"`
	}
	return answer + `, response="` + sum(append(parts, sum(method, uri))...) + `"`
}
