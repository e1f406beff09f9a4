package actions

import "encoding/json"

// member is one of a plain body.
type member struct{ name, value string }

// plainMembers returns the members of a body that is a JSON object of texts alone, none of
// them with an escape: as most are. It is false of every other, also of what is no JSON,
// which the decoder reads: for a plain one that takes 5 µs, a third of what is done to a
// request before its Action is written. text is UTF-8.
func plainMembers(text []byte) (members []member, ok bool) {
	p := plainReader{text: text}
	if !p.takes('{') {
		return nil, false
	}
	if p.takes('}') {
		return nil, p.ended()
	}
	for {
		name, ok := p.string()
		if !ok || !p.takes(':') {
			return nil, false
		}
		value, ok := p.string()
		if !ok {
			return nil, false
		}
		members = append(members, member{name, value})
		if p.takes('}') {
			return members, p.ended()
		}
		if !p.takes(',') {
			return nil, false
		}
	}
}

// plainReader reads text from at on.
type plainReader struct {
	text []byte
	at   int
}

// blanks skips what may stand between the tokens of JSON (RFC 8259, section 2).
func (p *plainReader) blanks() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// takes reads c, and reports whether it was there.
func (p *plainReader) takes(c byte) bool {
	p.blanks()
	if p.at == len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *plainReader) ended() bool {
	p.blanks()
	return p.at == len(p.text)
}

// string reads a text without escapes and without control characters.
func (p *plainReader) string() (string, bool) {
	if !p.takes('"') {
		return "", false
	}
	for i := p.at; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			s := string(p.text[p.at:i])
			p.at = i + 1
			return s, true
		case c == '\\' || c < ' ':
			return "", false
		}
	}
	return "", false
}

// addMembers takes the members of a plain body as readMembers does.
func (r *body) addMembers(members []member) error {
	for _, m := range members {
		if r.members++; r.members > maxMembers {
			return errTooMany
		}
		if err := r.add(nil, m.name, json.Token(m.value)); err != nil { // a text needs no decoder
			return err
		}
	}
	return nil
}
