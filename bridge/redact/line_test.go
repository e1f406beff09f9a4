package redact

import "testing"

// md5 is the answer to a challenge.
const md5 = "0f9a0f9a0f9a0f9a0f9a0f9a0f9a0f9a"

func TestLine_HidesValues(t *testing.T) {
	r := New(Options{})
	for text, want := range map[string]string{
		"open /run/nats.creds: no such file or directory":  "open /run/nats.creds: no such file or directory",
		"read a: open /x/secret: permission denied: again": "read a: open /x/secret: permission denied: again",
		`"stat /x/token: is a directory"`:                  `"stat /x/token: is a directory"`,
		"x/secret: permission denied is mine":              "x/secret: [redacted]",
		"secret: no such file or directory":                "secret: [redacted]",
		"login with secret=x9 failed":                      "login with secret=[redacted] failed",
		"Secret: two words":                                "Secret: [redacted]",
		"Action: Login\r\nSecret: x9 y\r\nEvents: on":      "Action: Login\r\nSecret: [redacted]\r\nEvents: on",
		`"Action: Login\r\nSecret: x9 y\r\nEvents: on"`:    `"Action: Login\r\nSecret: [redacted]\r\nEvents: on"`,
		"AuthType: MD5\r\nKey: 0f9a\r\nEvents: on":         "AuthType: MD5\r\nKey: [redacted]\r\nEvents: on",
		`"AuthType: MD5\r\nKey: 0f9a\r\n"`:                 `"AuthType: MD5\r\nKey: [redacted]\r\n"`,
		"Variable: CARD=4111 1111,x=1\r\nAsync: true":      "Variable: CARD=[redacted]\r\nAsync: true",
		"Variable: CDR(pin)=1 2":                           "Variable: CDR(pin)=[redacted]",
		"Variable: __USER_PIN=12":                          "Variable: __USER_PIN=[redacted]",
		`{"Variable":{"PIN":"12\"34","X":"1"}}`:            `{"Variable":{"PIN":[redacted],"X":"1"}}`,
		`"{\"password\":\"x9\",\"user\":\"u\"}"`:           `"{\"password\":[redacted],\"user\":\"u\"}"`,
		"password 'a b'; PASSWORD = 'a b'; user=u":         "password 'a b'; PASSWORD = [redacted]; user=u",
		"MD5Secret: 0f":                                    "MD5Secret: [redacted]",
		"vmsecret => 12 34":                                "vmsecret => [redacted]",
		"x-api-key=abc user=u":                             "x-api-key=[redacted] user=u",
		"authorization: Basic dTpw":                        "authorization: [redacted]",
		"got Bearer eyJh.b-c_d, then":                      "got Bearer [redacted], then",
		"dial nats://u:p/w@h:4222: refused":                "dial nats://[redacted]@h:4222: refused",
		"nats://a:b@h1,tls://tok@h2,nats://h3":             "nats://[redacted]@h1,tls://[redacted]@h2,nats://h3",
		`Secret: "a"b`:                                     "Secret: [redacted]",
		`nats://u:p,w"x<y>z@h1,tls://a@h2 x@y`:             `nats://[redacted]@h1,tls://[redacted]@h2 x@y`,
		`"url":"nats://u:p'w@h:4222", "x"`:                 `"url":"nats://[redacted]@h:4222", "x"`,
		"Bearer a!b, then":                                 "Bearer [redacted], then",
		`Bearer "a b"c d`:                                  "Bearer [redacted] d",
		"refused: Key: " + md5 + " is wrong":               "refused: Key: [redacted]",
		"refused, key=" + md5 + " is wrong":                "refused, key=[redacted] is wrong",
		`secret="a b"c d`:                                  "secret=[redacted] d",
		`secret='a b'"c d"e f`:                             "secret=[redacted] f",
		`secret="a b`:                                      "secret=[redacted]",
		`"secret=\"a b\"c d"`:                              `"secret=[redacted] d"`,
		"secret=[redacted]":                                "secret=[redacted]",
		"CARDNO=4111 x, IBAN: DE1 2":                       "CARDNO=[redacted] x, IBAN: [redacted]",
		"x PJSIP_HEADER(add,Cookie)=a b":                   "x PJSIP_HEADER(add,Cookie)=[redacted] b",
		"x HASH(card,number) = a b":                        "x HASH(card,number) = [redacted]",
		"пароль=x y":                                       "пароль=[redacted] y",
		"2fa=x y":                                          "2fa=[redacted] y",
		"dial IAX2/u:pw@h/1 failed":                        "dial IAX2/u:[redacted]@h/1 failed",
		"authorization=Basic dTpw x=1":                     "authorization=[redacted] x=1",
		"authorization=basic  dTpw":                        "authorization=[redacted]",
		`auth_token="Token" dTpw x`:                        `auth_token=[redacted] dTpw x`,
		"password=ApiKey dTpw x":                           "password=[redacted] x",
		`x PJSIP_HEADER(add,Authorization)=Digest username="u", response="0f" z=1`: "x PJSIP_HEADER(add,Authorization)=[redacted]",
		"refused Basic dTpwd3B3 again":                                             "refused Basic [redacted] again",
		"basic authentication failed, Basic dTpw":                                  "basic authentication failed, Basic [redacted]",
		"secret=Basic":                       "secret=[redacted]",
		"secret=Basically yes":               "secret=[redacted] yes",
		"at eyJhbGciOiJIUzI1NiJ9.eyJz.c now": "at [redacted] now",
	} {
		if got := r.Line(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestLine_LeavesTheRest(t *testing.T) {
	r := New(Options{})
	for _, text := range []string{"", "monkey: 1", "keypad=2", "author: Ann", "Monkey=7 keyboard: us", "parse private key: no PEM",
		"key=greeting", "login refused: check USERNAME and SECRET, and the user's permit", "secret=", "password:",
		"dial tcp 10.0.0.1:5038: connection refused", "nats://h:4222", "mail a@b.example", "spin: 3", "cardinal: 4",
		"nats: authorization violation", "12:30:01", "compass=north", "tokens: 3 left", "spinning=1 bypass: 2 company=x account=3", "set AUTH=plain"} {
		if got := r.Line(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	for _, key := range []string{"monkey", "keypad", "author", "server_key", "action_id", "session", "keys", "pinned", "discard", ""} {
		if r.Key(key) {
			t.Errorf("the field %q is hidden", key)
		}
	}
	for _, key := range []string{"secret", "Secret", "AMI_SECRET", "amiSecret", "MD5Secret", "password", "db.passwd", "token",
		"accessToken", "key", "Key", "api_key", "apiKey", "APIKEY", "privateKey", "Authorization", "credentials", "creds", "pin", "CARD_NUMBER"} {
		if !r.Key(key) {
			t.Errorf("the field %q is shown", key)
		}
	}
}
