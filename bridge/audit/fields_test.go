package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
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
		{"UpdateConfig", `{"Var-000000":"secret","Match-000000":"4111"}`, `{"Var-000000":"secret","Match-000000":"[redacted]"}`},
		{"UpdateConfig", `{"Cat-000000":"pin","Value-000000":"4111","Line-000000":"7"}`, `{"Cat-000000":"pin","Value-000000":"[redacted]","Line-000000":"7"}`},
		{"Login", `{"Username":"u","Secret":"4111","Key":"4111"}`, `{"Username":"u","Secret":"[redacted]","Key":"[redacted]"}`},
		{"X", `{"password":["4111","4111"],"pin":4111}`, `{"password":["[redacted]","[redacted]"],"pin":"[redacted]"}`},
		{"Command", `{"Command":"database put creds pin 4111"}`, `{"Command":"database put creds [redacted]"}`},
		{"Command", `{"Command":"core show channels"}`, `{"Command":"core show channels"}`},
		{"Command", `{"Command":"database put agents \"7/pin\" \"4111\""}`, `{"Command":"database put agents \"7/pin\" [redacted]"}`},
		{"AGI", `{"Command":"SET VARIABLE \"PIN\"\t4111"}`, `{"Command":"SET VARIABLE \"PIN\" [redacted]"}`},
		{"AGI", `{"Command":"EXEC Authenticate 4111"}`, `{"Command":"EXEC Authenticate [redacted]"}`},
		{"Command", `{"Command":"channel originate Local/x application DISA 4111,ctx"}`, `{"Command":"channel originate Local/x application DISA [redacted]"}`},
		{"Command", `{"Command":"dialplan add extension 1,1,authenticate,4111 into x"}`, `{"Command":"dialplan add extension 1,1,authenticate,[redacted]"}`},
		{"Originate", `{"Application":"Exec","Data":"Authenticate(4111,j)"}`, `{"Application":"Exec","Data":"Authenticate([redacted]"}`},
		{"Originate", `{"Application":"ExecIf","Data":"1?MeetMe(room,M,4111)"}`, `{"Application":"ExecIf","Data":"1?MeetMe(room,M,[redacted]"}`},
		{"DialplanExtensionAdd", `{"Application":"GotoIf","ApplicationData":"x?Authenticate"}`, `{"Application":"GotoIf","ApplicationData":"x?Authenticate"}`},
		{"UpdateConfig", `{"Var-000000":"exten","Value-000000":"1,n,Authenticate(4111)"}`, `{"Var-000000":"exten","Value-000000":"1,n,Authenticate([redacted]"}`},
		{"UpdateConfig", `{"Var-000000":"register","Value-000000":"2345:4111@sip.example/1"}`, `{"Var-000000":"register","Value-000000":"[redacted]"}`},
		{"updateconfig", `{"VAR-000000":" Auth","Match-000000":"u:4111@realm"}`, `{"VAR-000000":" Auth","Match-000000":"[redacted]"}`},
		{"UpdateConfig", `{"DstFilename":"voicemail.conf","Var-000000":"100","Value-000000":"4111,Ann"}`, `{"DstFilename":"voicemail.conf","Var-000000":"100","Value-000000":"[redacted]"}`},
		{"UpdateConfig", `{"DstFilename":"queues.conf","Var-000000":"member","Value-000000":"SIP/1"}`, `{"DstFilename":"queues.conf","Var-000000":"member","Value-000000":"SIP/1"}`},
		{"Setvar", `{"Variable":"agent","Value":"7"}`, `{"Variable":"agent","Value":"7"}`},
		{"Originate", `{"Data":"app,pin=4111","CallerID":"A <1>"}`, `{"Data":"app,pin=[redacted]","CallerID":"A <1>"}`},
		{"Originate", `{"Data":"http://u:4111@host/x"}`, `{"Data":"http://[redacted]@host/x"}`},
		{"PJSIPNotify", `{"Variable":"Authorization: Bearer 4111"}`, `{"Variable":"Authorization:[redacted]"}`},
		{"MessageSend", `{"Body":"Your PIN: 4111"}`, `{"Body":"Your PIN:[redacted]"}`},
		{"MessageSend", `{"Base64Body":"WW91ciBQSU46IDQxMTE="}`, `{"Base64Body":"[redacted]"}`},   // the same
		{"MessageSend", `{"Base64Body":"WW91ciBQSU46IDQxMTE!"}`, `{"Base64Body":"[redacted]"}`},   // Asterisk reads up to there
		{"MessageSend", `{"Base64Body":"aGVsbG8gdGhlcmU="}`, `{"Base64Body":"aGVsbG8gdGhlcmU="}`}, // hello there
		{"X", `{"Note":"BEARER 4111"}`, `{"Note":"BEARER [redacted]"}`},
		{"X", `{"s3cret-of-pbx1":"s3cret-of-pbx1!"}`, `{"[redacted]":"[redacted]!"}`},
		{"X", `{"A":"1","B":true,"A":"2","C":-1.50e3}`, `{"A":["1","2"],"B":"true","C":"-1.50e3"}`},
		{"X", `{"A":"1","C":null}`, ``},
		{"X", `{"A":"1","D":[["x"]]}`, ``},
		{"Originate", `{"Variable":{"A":"x,y","pin;x":"4111"}}`, `{"Variable":["A=x,y","pin;x=[redacted]"]}`},
		{"X", `{"CARDNO=4111":"1","Note":"<password>4111</password>","To":"SIP/u:4111@host/1","Channel":"PJSIP/1@trunk"}`,
			`{"CARDNO=[redacted]":"[redacted]","Note":"<password>[redacted]","To":"SIP/u:[redacted]@host/1","Channel":"PJSIP/1@trunk"}`},
		{"Originate", `{"Variable":"PJSIP_HEADER(add,Authorization)=Basic 4111"}`, `{"Variable":"PJSIP_HEADER(add,Authorization)=[redacted]"}`},
		{"Originate", `{"Variable":"PJSIP_HEADER(update,Cookie,1)=4111"}`, `{"Variable":"PJSIP_HEADER(update,Cookie,1)=[redacted]"}`},
		{"Originate", `{"Variable":"HASH(card,number)=4111"}`, `{"Variable":"HASH(card,number)=[redacted]"}`},
		{"Originate", `{"Variable":"SIPADDHEADER01=X-Api-Key: 4111"}`, `{"Variable":"SIPADDHEADER01=X-Api-Key:[redacted]"}`},
		{"Originate", `{"Variable":"LEAD=https://h/?lead=7&otp=4111"}`, `{"Variable":"LEAD=https://h/?lead=7&otp=[redacted]"}`},
		{"Originate", `{"Variable":["__IBAN=4111","___CARDNO=4111","BODY={\"ssn\":\"4111\"}","T=eyJhbGciOiJIUzI1NiJ9.4111.x"]}`,
			`{"Variable":["__IBAN=[redacted]","___CARDNO=[redacted]","BODY={\"ssn\":[redacted]","T=[redacted]"]}`},
		{"Originate", `{"Application":"Authenticate","Data":"4111,j"}`, `{"Application":"Authenticate","Data":"[redacted]"}`},
		{"Originate", `{"Data":"room,M,4111","Application":" MeetMe"}`, `{"Data":"room,M,[redacted]","Application":" MeetMe"}`},
		{"Originate", `{"Application":["Authenticate","MeetMe"],"Data":"4111"}`, `{"Application":["Authenticate","MeetMe"],"Data":"[redacted]"}`},
		{"Originate", `{"Application":"MeetMe","Data":"room,M"}`, `{"Application":"MeetMe","Data":"room,M"}`},
		{"DialplanExtensionAdd", `{"Application":"DISA","ApplicationData":"4111,ctx"}`, `{"Application":"DISA","ApplicationData":"[redacted]"}`},
		{"Setvar", `{"Variable":"PJSIP_HEADER(add,Cookie)","Value":"4111"}`, `{"Variable":"PJSIP_HEADER(add,Cookie)","Value":"[redacted]"}`},
		{"DBPut", `{"Family":"agents","Key":"7/pincode","Val":"4111"}`, `{"Family":"agents","Key":"7/pincode","Val":"[redacted]"}`},
		{"Originate", `{"Account":"SPINNING","Context":"passengers","Exten":"4111","Variable":"COMPANY=ACME,AUTHOR=Ann,BYPASS=1,ACCOUNT=7"}`,
			`{"Account":"SPINNING","Context":"passengers","Exten":"4111","Variable":"COMPANY=ACME,AUTHOR=Ann,BYPASS=1,ACCOUNT=7"}`},
		{"X", "", `{}`},
		{"X", `[1]`, ``},
		{"X", `{"A":`, ``},
		{"X", `{"A":"` + strings.Repeat("é", 200) + `"}`, `{"A":"` + strings.Repeat("é", 128) + `…"}`},
		{"X", `{"A":"x` + strings.Repeat("é", 200) + `"}`, `{"A":"x` + strings.Repeat("é", 127) + `�…"}`}, // no half of a character
	} {
		if got, _ := shown(c, test.action, test.body); unescaped(got) != test.want {
			t.Errorf("%s %s\n got %s\nwant %s", test.action, test.body, got, test.want)
		}
	}
}

// shown are the fields of a body, which is read as requests are.
func shown(c concealer, action, body string) (object string, omitted int) {
	d := &Recorder{concealer: c}
	fields, err := fieldsOf(body)
	k := d.Record(&nats.Msg{}, action, "", fields, err == nil)
	k.conceal(c)
	return string(k.fields), k.omitted
}

var errBody = errors.New("no body of a request")

// fieldsOf reads an object of texts, numbers and booleans, of arrays of them, and of
// objects, whose members become name=value.
func fieldsOf(body string) (fields []Field, err error) {
	if body == "" {
		return nil, nil
	}
	add := func(name, value string) {
		for i := range fields {
			if fields[i].Name == name {
				fields[i].Values = append(fields[i].Values, value)
				return
			}
		}
		fields = append(fields, Field{Name: name, Values: []string{value}})
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, errBody
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := key.(string)
		value, err := d.Token()
		switch {
		case err != nil || value == nil:
			return nil, errBody
		case value == json.Delim('['):
			for d.More() {
				one, err := d.Token()
				if _, nested := one.(json.Delim); err != nil || nested {
					return nil, errBody
				}
				add(name, fmt.Sprint(one))
			}
			_, err = d.Token()
		case value == json.Delim('{'):
			for d.More() {
				variable, _ := d.Token()
				text, _ := d.Token()
				if redact.Name(fmt.Sprint(variable)) {
					text = redact.Hidden
				}
				add(name, fmt.Sprintf("%v=%v", variable, text))
			}
			_, err = d.Token()
		default:
			add(name, fmt.Sprint(value))
		}
		if err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return fields, err
}

// unescaped has what encoding/json escapes as it is read.
func unescaped(s string) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(s)
}

// Of a request no more than 16 KiB is looked at, be it hidden or shown.
func TestAudit_FieldsThatAreNotLookedAt(t *testing.T) {
	var body strings.Builder
	for range 20 {
		body.WriteString(`,"Password":"` + strings.Repeat("v", 1000) + `"`) // of one name, each hidden
	}
	got, omitted := shown(newConcealer(nil), "X", `{"A":"1"`+body.String()+`,"B":"2"}`)
	if got != `{"A":"1","B":"2"}` || omitted != 1 {
		t.Errorf("%.100s, %d omitted", got, omitted)
	}
}

func TestAudit_FieldsAreBounded(t *testing.T) {
	var body strings.Builder
	for i := range 100 {
		body.WriteString(`,"N` + strings.Repeat("n", i) + `":"` + strings.Repeat("v", 300) + `"`)
	}
	got, omitted := shown(newConcealer(nil), "X", "{"+body.String()[1:]+"}")
	if len(got) > maxFields+1 || len(got) < maxFields/2 || omitted < 80 || omitted > 99 {
		t.Errorf("%d bytes, %d omitted", len(got), omitted)
	}
}
