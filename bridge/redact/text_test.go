package redact

import (
	"regexp"
	"strings"
	"testing"
)

// From a secret name on all is hidden, whatever stands between it and its value.
func TestValue_HidesFromASecretNameOn(t *testing.T) {
	r := New(Options{})
	for text, want := range map[string]string{
		"":                                     "",
		"A=1,CARD=2,B=3":                       "A=1,CARD=[redacted]",
		"CDR(pin)=1":                           "CDR(pin)=[redacted]",
		"HASH(card,number)=1":                  "HASH(card,number)=[redacted]",
		"PJSIP_HEADER(add,Cookie)=1":           "PJSIP_HEADER(add,Cookie)=[redacted]",
		"PJSIP_HEADER(update,Cookie,1)=1":      "PJSIP_HEADER(update,Cookie,1)=[redacted]",
		`CONFBRIDGE(user,"pin") = 1`:           `CONFBRIDGE(user,"pin") =[redacted]`,
		"SIPADDHEADER=X-Auth-Token: 1":         "SIPADDHEADER=X-Auth-Token:[redacted]",
		"https://h/p?a=1&iban=2&b=3":           "https://h/p?a=1&iban=[redacted]",
		`{"a":1,"card":{"x":2}}`:               `{"a":1,"card":[redacted]`,
		`{\"a\":1,\"jwt\":\"2\"}`:              `{\"a\":1,\"jwt\":[redacted]`,
		`<a>1</a><ssn>2</ssn>`:                 `<a>1</a><ssn>[redacted]`,
		"got Bearer 1 2":                       "got Bearer [redacted]",
		"https://u:p@h/x":                      "https://[redacted]@h/x",
		"https://u:p/w@h/x":                    "https://[redacted]@h/x",
		"sip:100:pw@h;x":                       "sip:100:[redacted]@h;x",
		"PJSIP/t/sip:100:pw@h":                 "PJSIP/t/sip:100:[redacted]@h",
		"IAX2/u:p/w@h/100":                     "IAX2/u:[redacted]@h/100",
		"IAX2/:pw@h/100":                       "IAX2/:[redacted]@h/100",
		"https://h/?to=%2Fx%3Fa%3D1%26pin%3D2": "https://h/?to=%2Fx%3Fa%3D1%26pin%3D[redacted]",
		"u=https%3a%2f%2fh%3ftoken%3d1":        "u=https%3a%2f%2fh%3ftoken%3d[redacted]",
		"Secret%3A%201":                        "Secret%3A[redacted]",
		"a eyJhbGciOiJIUzI1NiJ9.eyJz.c b":      "a [redacted] b",
		"-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----": "[redacted]",
	} {
		if got := r.Value(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{
		"PJSIP/100", "PJSIP/t/sip:100@h", "PJSIP/t/sips:100@h:5061;x", "PJSIP/49301234567@trunk", "sip:100@h:5060", "Local/100@ctx/n", `"Ann" <100>`, "LEAD=7,CAMPAIGN=x", "https://h/?a=1", "a@b.example", "50%, 3D: 100%", "https://h/?to=%2Fx%3Fa%3D1",
		"COMPANY=x", "core show channels", "CALLERID(num)=100", "12:30", "Forbearer of news", "eyJ", "ACCOUNT=1,AUTHOR: Ann", "sip:a@h,sip:b@h",
	} {
		if got := r.Value(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestCommand_HidesBehindANameAndASpace(t *testing.T) {
	r := New(Options{})
	for text, want := range map[string]string{
		"database put creds 7 1":    "database put creds [redacted]",
		"dialplan set global PIN 1": "dialplan set global PIN [redacted]",
		"EXEC Set PIN=1":            "EXEC Set PIN=[redacted]",
		"SET VARIABLE CARDNO 1 2":   "SET VARIABLE CARDNO [redacted]",
		"database show pin":         "database show pin",
		"core show channels":        "core show channels",
	} {
		if got := r.Command(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// What is known is hidden in each spelling, the longest first.
func TestRedactor_HidesWhatItIsTold(t *testing.T) {
	r := New(Options{
		Known: []string{"", "abc", "k9x7", `q"u o/te`, "k9x7longer", "caf\xe9<>"}, Pattern: regexp.MustCompile(`\b[0-9]{16}\b`),
		Names: func(name string) bool { return strings.EqualFold(name, "lead") },
	})
	for text, want := range map[string]string{
		"say k9x7!":                  "say [redacted]!",
		"say k9x7longer!":            "say [redacted]!",
		"abc stays":                  "abc stays",
		`a q"u o/te b`:               "a [redacted] b",
		`a q\"u o/te b`:              "a [redacted] b",
		"?x q%22u+o%2Fte":            "?x [redacted]",
		"/q%22u%20o%2Fte/":           "/[redacted]/",
		"caf\xe9<> café<>":           "[redacted] [redacted]",
		`caf\u00e9 café\u003c\u003e`: `caf\u00e9 [redacted]`,
		"to 4111111111111111.":       "to [redacted].",
	} {
		for name, got := range map[string]string{"Value": r.Value(text), "Line": r.Line(text), "Command": r.Command(text)} {
			if got != want {
				t.Errorf("%s: %q becomes %q, want %q", name, text, got, want)
			}
		}
	}
	if got := r.Value("LEAD=7"); got != "LEAD=[redacted]" {
		t.Errorf("Names do not hold: %s", got)
	}
	if got := r.Line("lead=7 x"); got != "lead=[redacted] x" {
		t.Errorf("Names do not hold: %s", got)
	}
}

// What Value does not look for, since a byte that it needs is missing, is not there.
func FuzzValue_ShortCutsHideTheSame(f *testing.F) {
	for _, text := range []string{"", "PIN=1", "PIN: 1", "<pin>1", "Bearer 1", "bearer\t1", "BEARER", "a b", "ami.actions.pbx1.Getvar", "A(pin) = 1", "\xff=\n", "pin%3D1"} {
		f.Add(text)
	}
	r := New(Options{})
	f.Fuzz(func(t *testing.T, text string) {
		want := r.shapes(text)
		if m := bearerAllRule.FindStringIndex(want); m != nil {
			want = want[:m[1]] + Hidden
		}
		plain := escapedEnds.Replace(want)
		for _, m := range valueOfRule.FindAllStringSubmatchIndex(plain, -1) {
			if r.Secret(plain[m[2]:m[3]]) {
				want = want[:m[1]] + Hidden
				break
			}
		}
		if got := r.Value(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	})
}

// What a text without secrets costs: the audit has some ten of each request.
func BenchmarkValue(b *testing.B) {
	r := New(Options{Known: []string{"s3cret-1", "s3cret-2"}})
	b.ReportAllocs()
	for b.Loop() {
		r.Value("ami.actions.pbx1.QueueStatus")
	}
}
