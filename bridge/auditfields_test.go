package bridge

import (
	"fmt"
	"strings"
	"testing"
)

// Names stay, and what belongs to a secret one does not, however it is written.
func TestAudit_FieldsHideSecrets(t *testing.T) {
	c := newConcealer([]string{"", "abc", "s3cret-of-pbx1"})
	for _, test := range []struct{ action, body, want string }{
		{"Originate", `{"Channel":"PJSIP/a","Variable":{"CARD":"4111","OK":"fine"}}`,
			`{"Channel":"PJSIP/a","Variable":["CARD=[redacted]","OK=fine"]}`},
		{"Originate", `{"Variable":["PIN=4111","OK=fine"]}`, `{"Variable":["PIN=[redacted]","OK=fine"]}`},
		{"Originate", `{"variable":"OK=fine,CARD=4111,4111,B=2"}`, `{"variable":"OK=fine,CARD=[redacted]"}`},
		{"Originate", `{"ChanVariable":"__CARD_NUMBER=4111"}`, `{"ChanVariable":"__CARD_NUMBER=[redacted]"}`},
		{"Originate", `{"Variable":{"CARD no":"4111"}}`, `{"Variable":"CARD no=[redacted]"}`},
		{"Originate", `{"Variable":"CDR(pin)=4111"}`, `{"Variable":"CDR(pin)=[redacted]"}`},
		{"Setvar", `{"Variable":"PIN","Value":"4111"}`, `{"Variable":"PIN","Value":"[redacted]"}`},
		{"Setvar", `{"Value":"4111","Variable":"CDR(pin)"}`, `{"Value":"[redacted]","Variable":"CDR(pin)"}`},
		{"Setvar", `{"Variable":"X","Value":"4111"}`, `{"Variable":"X","Value":"4111"}`},
		{"DBPut", `{"Family":"creds","Key":"k","Val":"4111"}`, `{"Family":"creds","Key":"k","Val":"[redacted]"}`},
		{"UpdateConfig", `{"Var-000000":"secret","Value-000000":"4111"}`, `{"Var-000000":"secret","Value-000000":"[redacted]"}`},
		{"Login", `{"Username":"u","Secret":"4111","Key":"4111"}`, `{"Username":"u","Secret":"[redacted]","Key":"[redacted]"}`},
		{"X", `{"password":["4111","4111"],"token":{"a":"4111"},"pin":4111}`,
			`{"password":["[redacted]","[redacted]"],"token":"[redacted]","pin":"[redacted]"}`},
		{"Command", `{"Command":"database put creds pin 4111"}`, `{"Command":"database put creds [redacted]"}`},
		{"Command", `{"Command":"core show channels"}`, `{"Command":"core show channels"}`},
		{"Originate", `{"Data":"app,pin=4111","CallerID":"A <1>"}`, `{"Data":"app,pin=[redacted]","CallerID":"A <1>"}`},
		{"Originate", `{"Data":"http://u:4111@host/x"}`, `{"Data":"http://[redacted]@host/x"}`},
		{"PJSIPNotify", `{"Variable":"Authorization: Bearer 4111"}`, `{"Variable":"Authorization:[redacted]"}`},
		{"X", `{"Note":"BEARER 4111"}`, `{"Note":"BEARER [redacted]"}`},
		{"X", `{"s3cret-of-pbx1":"s3cret-of-pbx1!"}`, `{"[redacted]":"[redacted]!"}`},
		{"X", `{"A":"1","B":true,"A":"2","C":null,"D":[["x"]]}`,
			`{"A":["1","2"],"B":"true","C":"[not recorded]","D":"[not recorded]"}`},
		{"X", "", `{}`},
		{"X", `[1]`, ``},
		{"X", `{"A":`, ``},
		{"X", `{"A":["1"` + strings.Repeat(`,"1"`, 200) + `]}`, ``},
		{"X", `{"A":"` + strings.Repeat("é", 200) + `"}`, `{"A":"` + strings.Repeat("é", 128) + `…"}`},
	} {
		if got, _ := c.fields(test.action, []byte(test.body)); unescaped(string(got)) != test.want {
			t.Errorf("%s %s\n got %s\nwant %s", test.action, test.body, got, test.want)
		}
	}
}

// unescaped has what encoding/json escapes as it is read.
func unescaped(s string) string { return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(s) }

func TestAudit_FieldsAreBounded(t *testing.T) {
	var body strings.Builder
	for i := range 100 {
		body.WriteString(`,"N` + strings.Repeat("n", i) + `":"` + strings.Repeat("v", 300) + `"`)
	}
	got, omitted := newConcealer(nil).fields("X", []byte("{"+body.String()[1:]+"}"))
	if len(got) > maxAuditFields+1 || len(got) < maxAuditFields/2 || omitted < 80 || omitted > 99 {
		t.Errorf("%d bytes, %d omitted", len(got), omitted)
	}
}

// What becomes known while the bridge runs is hidden from then on, a new secret
// that holds an old one as a whole; those of the start are never forgotten.
func TestConcealer_Learns(t *testing.T) {
	c := newConcealer([]string{"s3cret", "abc"})
	c.add("s3cret-new", "abc")
	if got := c.text("a s3cret-new and s3cret and abc", 256); got != "a "+hidden+" and "+hidden+" and abc" {
		t.Errorf("%q", got)
	}
	for n := range 2 * maxLearned {
		c.add(fmt.Sprint("later-", n, "."))
	}
	last := fmt.Sprint("later-", 2*maxLearned-1, ".")
	if got := c.text("s3cret later-0. "+last, 256); got != hidden+" later-0. "+hidden || len(c.secrets) != maxLearned+1 {
		t.Errorf("%q with %d secrets", got, len(c.secrets))
	}
}
