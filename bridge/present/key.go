package present

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxToken is how long an id may be in a key, in bytes. A longer one is cut and ends
// in its hash; the value has the whole.
const maxToken = 128

// cutMark stands between the two halves of such a token. Escaping never makes it: a
// "=" of an id is "=3D".
const cutMark = "=="

// hashed is how long the hash is: 128 bits, so that nobody can make two ids meet.
const hashed = 32

const upperHex = "0123456789ABCDEF"

// plainID reports whether c stands for itself in a key. A dot divides tokens and a
// slash is a folder to some tools, so neither does.
func plainID(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '-'
}

// appendEscaped appends id with each byte that is not plain as =XX: one token of a
// subject, whatever is in it. An empty id is "=".
func appendEscaped(dst, id []byte) []byte {
	if len(id) == 0 {
		return append(dst, '=')
	}
	for _, c := range id {
		if plainID(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&0xF])
		}
	}
	return dst
}

// escapedLen is how long appendEscaped makes id, if that could be over maxToken.
func escapedLen(id []byte) int {
	n := len(id)
	if 3*n <= maxToken {
		return n // it is certain to fit
	}
	for _, c := range id {
		if !plainID(c) {
			n += 2
		}
	}
	return n
}

// appendToken is appendEscaped for a key, where a token is at most maxToken long.
func appendToken(dst, id []byte) []byte {
	start := len(dst)
	dst = appendEscaped(dst, id)
	if len(dst)-start <= maxToken {
		return dst
	}
	sum := sha256.Sum256(id)
	end := start + maxToken - hashed - len(cutMark)
	for i := end - 1; i >= end-2; i-- { // not within an escape
		if dst[i] == '=' {
			end = i
		}
	}
	dst = append(dst[:end], cutMark...)
	return hex.AppendEncode(dst, sum[:hashed/2])
}

// isCut reports whether id is a token that was cut. No id that stands whole in a
// key looks so: its two "=" would take six bytes, and cut tokens are longer than
// what leaves room for that.
func isCut(id []byte) bool {
	at := len(id) - hashed - len(cutMark)
	if at < maxToken-hashed-len(cutMark)-2 || len(id) > maxToken || string(id[at:at+len(cutMark)]) != cutMark {
		return false
	}
	for _, c := range id[at+len(cutMark):] {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

// unescape returns the id that token stands for. Of one that was cut that is the
// token itself: so a key that was read names the same object as the event does.
func unescape(token string) (id string, ok bool) {
	switch {
	case token == "" || len(token) > maxToken:
		return "", false
	case token == "=":
		return "", true
	case isCut([]byte(token)):
		return token, true
	}
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		c := token[i]
		if plainID(c) {
			b.WriteByte(c)
			continue
		}
		if c != '=' || i+2 >= len(token) {
			return "", false
		}
		high, low := strings.IndexByte(upperHex, token[i+1]), strings.IndexByte(upperHex, token[i+2])
		if high < 0 || low < 0 || plainID(byte(high<<4|low)) {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}

// Key returns <server>.<kind>.<id>[.<id>].
func Key(server string, k Kind, ids ...string) string {
	dst := append([]byte(server), '.')
	dst = append(dst, k.String()...)
	for _, id := range ids {
		dst = appendToken(append(dst, '.'), []byte(id))
	}
	return string(dst)
}

// ParseKey returns what key names: the inverse of Key. An id of which a key has no
// more than the hash is returned as it stands there.
func ParseKey(key string) (server string, k Kind, ids []string, ok bool) {
	tokens := strings.Split(key, ".")
	if len(tokens) < 3 {
		return "", 0, nil, false
	}
	for k = range Kinds {
		if kinds[k].name != tokens[1] {
			continue
		}
		if len(tokens) != 2+kinds[k].ids {
			return "", 0, nil, false
		}
		for _, token := range tokens[2:] {
			id, ok := unescape(token)
			if !ok {
				return "", 0, nil, false
			}
			ids = append(ids, id)
		}
		return tokens[0], k, ids, true
	}
	return "", 0, nil, false
}

// appendIndex appends what an object is found by: its ids, but for those that a key
// has only cut, which are cut here too. So a key that was read leads to the object
// that events name.
func appendIndex(dst []byte, ids [][]byte) []byte {
	for i, id := range ids {
		if escapedLen(id) > maxToken {
			id = appendToken(nil, id)
		}
		dst = appendPart(dst, id, i < len(ids)-1)
	}
	return dst
}

// appendPart appends one id of an index, with its length if another follows.
func appendPart[T string | []byte](dst []byte, id T, more bool) []byte {
	if more {
		dst = append(dst, byte(len(id)), byte(len(id)>>8))
	}
	return append(dst, id...)
}

// appendKey appends <server>.<kind>.<id>[.<id>] of an object by its index.
func appendKey(dst []byte, server string, k Kind, index string) []byte {
	dst = append(append(append(dst, server...), '.'), k.String()...)
	for range kinds[k].ids - 1 {
		n := int(index[0]) | int(index[1])<<8
		dst = appendIndexed(dst, index[2:2+n])
		index = index[2+n:]
	}
	return appendIndexed(dst, index)
}

func appendIndexed(dst []byte, id string) []byte {
	dst = append(dst, '.')
	if isCut([]byte(id)) {
		return append(dst, id...)
	}
	return appendEscaped(dst, []byte(id))
}

// firstID returns the first id of an index.
func firstID(k Kind, index string) string {
	if kinds[k].ids == 1 {
		return index
	}
	return index[2 : 2+(int(index[0])|int(index[1])<<8)]
}
