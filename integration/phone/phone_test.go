package phone

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Two telephones are registrar and caller to each other; what Asterisk makes of one is tried in
// integration/state.
func TestPhone_AnswersAndAsks(t *testing.T) {
	registrar, err := Listen("127.0.0.1:0", "127.0.0.1:9", "bob", "")
	if err != nil {
		t.Fatal(err)
	}
	defer registrar.Close()
	alice, err := Listen("127.0.0.1:0", registrar.conn.LocalAddr().String(), "alice", "pw")
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	if err := alice.Register(t.Context()); err != nil {
		t.Error(err)
	}
	if err := alice.Unregister(t.Context()); err != nil {
		t.Error(err)
	}
	if err := alice.Hold(t.Context()); err == nil {
		t.Error("without a call it holds")
	}
	headers := []header{{"From", "<sip:alice@x>;tag=1"}, {"To", "<sip:bob@x>"}, {"Call-ID", "c"}}
	r, err := alice.ask(t.Context(), "INVITE", "sip:bob@x", headers, alice.sdp("sendrecv"))
	if err != nil || !strings.Contains(r.get("to"), ";tag="+registrar.tag) || !strings.Contains(r.body, "a=sendrecv\r\n") {
		t.Fatalf("%v: %v", err, r)
	}
	if err := alice.send(alice.request("ACK", "sip:bob@x", headers, "3", "")); err != nil { // of two that it has sent
		t.Fatal(err)
	}
	if err := registrar.Answered(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := alice.ask(t.Context(), "BYE", "sip:bob@x", headers, ""); err != nil {
		t.Error(err)
	}
	if err := registrar.Ended(t.Context()); err != nil {
		t.Error(err)
	}
}

// The example of RFC 2617, section 3.5, without the qop that chan_sip does not have either, and with it.
func TestDigest_IsThatOfTheRFC(t *testing.T) {
	const challenge = `Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`
	for suffix, want := range map[string]string{
		"":             `, response="670fd8c2df070c60b045671b8b24ff02"`,
		`, qop="auth"`: `qop=auth, nc=00000001, cnonce="phone", opaque="5ccc069c403ebaf9f0171e9517f40e41", response="`,
	} {
		if got := digest(challenge+suffix, "GET", "/dir/index.html", "Mufasa", "Circle Of Life"); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
