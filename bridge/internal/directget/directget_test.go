package directget

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"
)

// What a publisher put under the server's names stands before the server's own.
func TestTheServersHeaderIsTheLast(t *testing.T) {
	h := nats.Header{"Nats-Sequence": {"7", "5"}, "Nats-Num-Pending": {"3", "many"}}
	if v := Value(h, "Nats-Sequence"); v != "5" {
		t.Errorf("the sequence is %q, want 5", v)
	}
	for name, want := range map[string]uint64{"Nats-Sequence": 5, "Nats-Num-Pending": 0, "Nats-Last-Sequence": 0} {
		if n := Number(h, name); n != want {
			t.Errorf("%s is %d, want %d", name, n, want)
		}
	}
}

// What 2.11 brought is not in a request that a server before it is to answer.
func TestRequestSaysOnlyWhatIsAsked(t *testing.T) {
	body, err := json.Marshal(Request{LastFor: "ami.events.pbx1.>"})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"last_by_subj":"ami.events.pbx1.\u003e"}`; string(body) != want {
		t.Errorf("asks %s, want %s", body, want)
	}
}
