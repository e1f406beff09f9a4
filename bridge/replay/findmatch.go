package replay

import "strings"

// wanted is a number or a channel that is looked for.
type wanted struct {
	text   string
	digits string // of a number, without a prefix for abroad or for a city; "" for a channel
}

// shortest is how many digits two numbers need to be the same where one has a
// prefix that the other has not: extensions are shorter.
const shortest = 6

func wantedIn(what string) wanted {
	w := wanted{text: what}
	if strings.Trim(what, "0123456789+-/(). ") == "" && strings.ContainsAny(what, "0123456789") {
		w.digits = significant(what)
	}
	return w
}

// significant are the digits of a number without the zeros before them, by which
// a call abroad or to another city begins.
func significant(number string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
	if short := strings.TrimLeft(digits, "0"); short != "" {
		return short
	}
	return digits
}

// in reports whether a header that names who calls or is called has what is
// wanted.
func (w wanted) in(fields []Field) bool {
	for _, f := range fields {
		value := first(f)
		switch name := strings.TrimPrefix(f.Name, "Dest"); {
		case value == "":
		case w.digits == "" && (name == "Channel" || f.Name == "Destination"):
			if w.isChannel(value) {
				return true
			}
		case w.digits != "" && (name == "CallerIDNum" || name == "ConnectedLineNum" || name == "Exten"):
			if w.isNumber(value) {
				return true
			}
		case w.digits != "" && strings.EqualFold(f.Name, "DialString"):
			if strings.ContainsFunc(value, isDigit) && w.inDialString(value) {
				return true
			}
		}
	}
	return false
}

// isChannel reports whether a channel's name is what is wanted, but for what
// Asterisk adds behind a dash.
func (w wanted) isChannel(name string) bool {
	if strings.EqualFold(name, w.text) {
		return true
	}
	if dash := strings.LastIndexByte(name, '-'); dash > 0 && !strings.Contains(w.text, "/") {
		_, peer, _ := strings.Cut(name[:dash], "/")
		return strings.EqualFold(peer, w.text)
	} else if dash > 0 {
		return strings.EqualFold(name[:dash], w.text)
	}
	return false
}

func (w wanted) isNumber(value string) bool {
	if strings.ContainsFunc(value, func(r rune) bool { return !isDigit(r) && !strings.ContainsRune("+-(). ", r) }) {
		return false
	}
	n := significant(value)
	return n == w.digits || len(n) >= shortest && len(w.digits) >= shortest &&
		(strings.HasSuffix(n, w.digits) || strings.HasSuffix(w.digits, n))
}

// inDialString looks into what Dial was given, such as +49301234@trunk.
func (w wanted) inDialString(value string) bool {
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return !isDigit(r) && r != '+' }) {
		if part != "+" && w.isNumber(part) {
			return true
		}
	}
	return false
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }
