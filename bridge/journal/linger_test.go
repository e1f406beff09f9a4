package journal

import (
	"fmt"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// What nobody waits for waits for others, and goes with the first that somebody
// waits for, in order.
func TestJournal_LaterGoesWithOthers(t *testing.T) {
	j, js, _ := testJournal(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), 1<<20)
	j.linger = time.Hour
	want := []int{}
	write := func(later bool) {
		if err := j.Write(Entry{Msg: note(len(want)), Later: later}); err != nil {
			t.Fatal(err)
		}
		want = append(want, len(want))
	}
	natstest.Within(t, "two wait", func() bool { // the journal takes what it finds as it begins
		write(true)
		if _, err := js.AccountInfo(t.Context()); err != nil { // time in which they could have gone
			t.Fatal(err)
		}
		n, _ := j.Left()
		return n == 2
	})
	write(false)
	takenNotes(t, j)
	if got := fmt.Sprint(notes(t, js)); got != fmt.Sprint(want) {
		t.Errorf("stored %s, want %v", got, want)
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
