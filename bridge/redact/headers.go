package redact

import (
	"bytes"
	"slices"
	"strings"
)

// headerNames are the headers of replies that are secret, each by its whole name
// whatever the case: what Asterisk's sources have in answers to configuration
// Actions, and their kin. SecretExist and PasswordRequired are none. The Password,
// Md5Cred, OauthSecret and RefreshToken of PJSIPShowAuths are options of
// pjsip.conf in camel case (pjsip_configuration.c ast_sip_sorcery_object_to_ami).
const headerNames = `AccessToken AdminPin ApiKey AuthSecret AuthToken ClientSecret DbSecret ImapPassword Md5Cred Md5Secret OauthSecret Pass
	Passphrase Passwd Password PasswordDigest Pin PinAdmin RefreshToken RemoteSecret Secret SharedSecret Token UserPin VmSecret`

// headers are headerNames in lower case.
var headers = func() map[string]bool {
	all := make(map[string]bool)
	for name := range strings.FieldsSeq(headerNames) {
		all[strings.ToLower(name)] = true
	}
	return all
}()

// Header reports whether a reply's header of that name is secret. DataGet (up to
// Asterisk 14) names a leaf by its path: 1-peers.peer.secret (data.c
// data_result_manager_output).
func Header(name []byte) bool {
	if at := bytes.LastIndexByte(name, '.'); at >= 0 {
		name = name[at+1:]
	}
	name = bytes.TrimSpace(name) // a foreign module may say Secret : x
	var lower [16]byte
	if len(name) > len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return headers[string(lower[:len(name)])]
}

// Headers returns JSON objects of AMI headers, one or several with commas
// between, with Hidden in place of each value of a secret one, and the names of
// those, each once. The objects are flat, as package frames writes them. An
// empty value stays: it is no secret. The Val behind a Key of the database that
// ends in such a name is one. Without a secret it returns in itself; otherwise in
// is left as it is.
func Headers(in []byte) (out []byte, names []string) {
	done := 0      // of in, copied to out or hidden
	inKey := false // the last Key of this object is a secret's
	for at := next(in, 0); at >= 0; {
		end := stringEnd(in, at)
		name := in[at+1 : max(at+1, end-1)]
		isName := end < len(in) && in[end] == ':'
		at = end
		switch {
		case isName && string(name) == "Key":
			inKey = endsSecret(in[min(end+1, len(in)):])
		case isName && string(name) == "Event":
			inKey = false
		}
		if isName && (Header(name) || inKey && string(name) == "Val") {
			before := done
			out, done, at = hide(out, in, done, end+1)
			if done != before && !slices.Contains(names, string(name)) {
				names = append(names, string(name))
			}
		}
		at = next(in, at)
	}
	if done == 0 {
		return in, nil
	}
	return append(out, in[done:]...), names
}

// endsSecret reports whether value, a JSON string and more, is a key of Asterisk's database whose last part is a secret's
// name, such as /AMPUSER/100/password of FreePBX.
func endsSecret(value []byte) bool {
	if len(value) == 0 || value[0] != '"' {
		return false
	}
	key := bytes.Trim(value[:stringEnd(value, 0)], `"`)
	return Header(key[bytes.LastIndexByte(key, '/')+1:])
}

// hide appends what of in is not done yet to out, up to the string, or the array
// of strings, that begins at value, and that with Hidden for each that is not
// empty. It returns how much of in is done then, and where the value has ended.
func hide(out, in []byte, done, value int) (_ []byte, _, end int) {
	isArray := value < len(in) && in[value] == '['
	if isArray {
		value++
	}
	for value < len(in) && in[value] == '"' {
		end = stringEnd(in, value)
		if end-value > len(`""`) {
			out = append(append(out, in[done:value]...), `"`+Hidden+`"`...)
			done = end
		}
		if !isArray || end == len(in) || in[end] != ',' {
			return out, done, end
		}
		value = end + 1
	}
	return out, done, value
}

// next returns where the next string of text begins, at or behind from, or -1.
func next(text []byte, from int) int {
	if at := bytes.IndexByte(text[from:], '"'); at >= 0 {
		return from + at
	}
	return -1
}

// stringEnd returns where the JSON string that begins at start has ended.
func stringEnd(text []byte, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}
