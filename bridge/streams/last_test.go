package streams

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Who asks often looks for the stream once; what it answers is what the stream holds, be that
// gone meanwhile, or made anew and asked another way.
func TestLast_LooksForTheStreamOnce(t *testing.T) {
	nc, js := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	looks, err := nc.SubscribeSync("$JS.API.STREAM.INFO." + EventStream)
	if err != nil {
		t.Fatal(err)
	}
	var last Last
	want := func(data string, looked int) {
		t.Helper()
		msg, _, err := last.On(t.Context(), js, "ami.terms.pbx1")
		got := ""
		if msg != nil {
			got = string(msg.Data)
		}
		if err != nil || got != data {
			t.Errorf("it holds %q, %v, want %q", got, err, data)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		if n, _, _ := looks.Pending(); n != looked {
			t.Errorf("it was looked for %d times, want %d", n, looked)
		}
	}
	makeStream := func(direct bool) {
		t.Helper()
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: EventStream, Subjects: []string{"ami.terms.>"}, AllowDirect: direct})
		if err != nil {
			t.Fatal(err)
		}
	}
	store := func(subject, data string) {
		t.Helper()
		if _, err := js.Publish(t.Context(), subject, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	want("", 1)
	makeStream(true)
	want("", 2)
	want("", 2)
	store("ami.terms.pbx1", "one")
	store("ami.terms.pbx2", "other")
	want("one", 2)
	store("ami.terms.pbx1", "two")
	want("two", 2)
	if err := js.DeleteStream(t.Context(), EventStream); err != nil {
		t.Fatal(err)
	}
	want("", 3)
	makeStream(false)
	store("ami.terms.pbx1", strings.Repeat("x", 9))
	want("xxxxxxxxx", 4)
	want("xxxxxxxxx", 4)
	if err := js.DeleteStream(t.Context(), EventStream); err != nil {
		t.Fatal(err)
	}
	makeStream(true)
	store("ami.terms.pbx1", "anew")
	want("anew", 4)
}
