package journal

import (
	"fmt"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/natstest"
)

// What nobody waits for waits for others, and goes with the first that somebody
// waits for, in order.
func TestJournal_LaterGoesWithOthers(t *testing.T) {
	j, js, _ := testJournal(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), 1<<20)
	j.linger = time.Hour
	for i := range 2 {
		if err := j.Write(Entry{Msg: note(i), Later: true}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.AccountInfo(t.Context()); err != nil { // time in which they could have gone
		t.Fatal(err)
	}
	if n, _ := j.Left(); n != 2 {
		t.Errorf("%d wait, want 2", n)
	}
	if err := j.Write(Entry{Msg: note(2)}); err != nil {
		t.Fatal(err)
	}
	takenNotes(t, j)
	if got := fmt.Sprint(notes(t, js)); got != "[0 1 2]" {
		t.Errorf("stored %s", got)
	}
}

// It goes by itself, too, each time.
func TestJournal_LaterGoesAlone(t *testing.T) {
	j, js, _ := testJournal(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), 1<<20)
	for i := range 3 {
		if err := j.Write(Entry{Msg: note(i), Later: true}); err != nil {
			t.Fatal(err)
		}
		takenNotes(t, j)
	}
	if got := fmt.Sprint(notes(t, js)); got != "[0 1 2]" {
		t.Errorf("stored %s", got)
	}
}
