package redact

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

func TestHeaders_HidesByExactName(t *testing.T) {
	for _, test := range []struct{ in, want, names string }{
		{`{"Event":"AuthList","Username":"u","Password":"4111","Realm":""}`,
			`{"Event":"AuthList","Username":"u","Password":"[redacted]","Realm":""}`, "Password"},
		{`{"Md5Cred":"a","OauthSecret":"b","RefreshToken":"c","PasswordDigest":"MD5:d","Secret":"e"},{"password":"f","Md5Cred":"g"}`,
			`{"Md5Cred":"[redacted]","OauthSecret":"[redacted]","RefreshToken":"[redacted]","PasswordDigest":"[redacted]","Secret":"[redacted]"},` +
				`{"password":"[redacted]","Md5Cred":"[redacted]"}`, "Md5Cred OauthSecret RefreshToken PasswordDigest Secret password"},
		{`{"Password":["a","","b\"]"],"X":["Password","y"]}`, `{"Password":["[redacted]","","[redacted]"],"X":["Password","y"]}`, "Password"},
		{`{"a":"\"Password\":\"x\"","Password":"\\","b":"\\"}`, `{"a":"\"Password\":\"x\"","Password":"[redacted]","b":"\\"}`, "Password"},
		{`{"1-peers.peer.secret":"x","2-agent.password":"y"}`, `{"1-peers.peer.secret":"[redacted]","2-agent.password":"[redacted]"}`,
			"1-peers.peer.secret 2-agent.password"},
		{`{"Secret ":"x","Secretx":"y"}`, `{"Secret ":"[redacted]","Secretx":"y"}`, "Secret "},
		{`{"SecretExist":"Y","MD5SecretExist":"N","PasswordX":"a","XPassword":"b","Variable":"Password=x","Value":"Password","Key":"k","$raw":"Password"}`,
			"", ""},
		{`{"Event":"DBGetResponse","Family":"AMPUSER/100","Key":"password","Val":"4111"},{"Event":"X","Val":"y"}`,
			`{"Event":"DBGetResponse","Family":"AMPUSER/100","Key":"password","Val":"[redacted]"},{"Event":"X","Val":"y"}`, "Val"},
		{`{"Event":"DBGetTreeResponse","Key":"/AMPUSER/100/password","Val":"a"},{"Event":"DBGetTreeResponse","Key":"/AMPUSER/100/cidname","Val":"b"}`,
			`{"Event":"DBGetTreeResponse","Key":"/AMPUSER/100/password","Val":"[redacted]"},{"Event":"DBGetTreeResponse","Key":"/AMPUSER/100/cidname","Val":"b"}`, "Val"},
		{`{"Key":"\/a\/secret","Val":"x"}`, `{"Key":"\/a\/secret","Val":"[redacted]"}`, "Val"},
		{`{"Key":"passwordx","Val":"x"}`, "", ""},
		{`{"Password":"","Secret":["",""]}`, "", ""},
		{`{"Password":"","Secret":"x","secret":""}`, `{"Password":"","Secret":"[redacted]","secret":""}`, "Secret"},
		{``, "", ""},
		{`{}`, "", ""},
	} {
		in := []byte(test.in)
		got, names := Headers(in)
		if test.want == "" {
			test.want = test.in
		}
		if string(got) != test.want || strings.Join(names, " ") != test.names {
			t.Errorf("%s\n got %s %q\nwant %s %s", test.in, got, names, test.want, test.names)
		}
		if string(in) != test.in {
			t.Errorf("%s was changed", test.in)
		}
	}
}

// What is secret in a reply is so in the log and the audit as well.
func TestHeader_IsPartOfTheTable(t *testing.T) {
	for name := range strings.FieldsSeq(headerNames) {
		for _, spelled := range []string{name, strings.ToUpper(name), "1-x.y." + strings.ToLower(name)} {
			if !Header([]byte(spelled)) {
				t.Errorf("the header %s is shown", spelled)
			}
		}
		if !Name(name) {
			t.Errorf("the name %s is shown", name)
		}
	}
}

// Whatever a frame holds, as JSON it keeps its names and their order, what is
// secret in it goes, and all else stays.
func FuzzHeaders_HideOnlySecrets(f *testing.F) {
	f.Add("Password", "x", "Event", "y")
	f.Add("Password", `a"]}`, "Password", `\`)
	f.Add("$raw", "Secret: x", "ChanVariable", "Password=1")
	f.Add("Password\x00", "\xff", "", `{"Password":"x"}`)
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2 string) {
		frame := frames.Frame{Headers: []frames.Header{{Key: []byte(key1), Value: []byte(value1)}, {Key: []byte(key2), Value: []byte(value2)}}}
		in, _ := frames.AppendJSON(nil, &frame, frames.UTF8)
		out, names := Headers(slices.Concat(in, []byte(","), in))
		if !bytes.HasPrefix(out, []byte("{")) || !json.Valid(slices.Concat([]byte("["), out, []byte("]"))) {
			t.Fatalf("%s becomes %s", in, out)
		}
		var was, is map[string]any
		if json.Unmarshal(in, &was) != nil || json.Unmarshal(out[:(len(out)-1)/2], &is) != nil {
			t.Fatalf("%s becomes %s", in, out)
		}
		for name, value := range was {
			if name == "Val" {
				continue // its Key says what it is
			}
			now := is[name]
			hidden := Header([]byte(name)) && !empty(value)
			if same := equal(value, now); same == hidden || slices.Contains(names, name) != hidden {
				t.Errorf("%s becomes %s %q", in, out, names)
			}
		}
	})
}

// empty reports whether v, of a JSON object, holds no text.
func empty(v any) bool {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	return !slices.ContainsFunc(list, func(v any) bool { return v != "" && v != Hidden })
}

func equal(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// A list without secrets is not copied: this runs on the AMI reader.
func BenchmarkHeaders_ListWithoutSecrets(b *testing.B) {
	one := `{"Event":"QueueMember","Queue":"support","Name":"Zoë \"Z\"","Interface":"PJSIP/100","Status":"1"}`
	list := []byte(strings.Repeat(one+",", 1000) + one)
	b.SetBytes(int64(len(list)))
	b.ReportAllocs()
	for b.Loop() {
		if _, names := Headers(list); names != nil {
			b.Fatal(names)
		}
	}
}
