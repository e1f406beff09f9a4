package journal

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A message is made once, and in order, however often it is tried, and counts what it has shown to hold.
func TestJournal_MakesAMessageOnceAndInOrder(t *testing.T) {
	dir, port := t.TempDir(), natstest.Port(t)
	server := natstest.Start(t, dir, port)
	j, js, _ := testJournal(t, server.ClientURL(), 1<<20)
	server.Shutdown()
	server.WaitForShutdown()
	const n = batchSize + 50
	made := make(chan int, 2*n)
	for i := range n {
		err := j.Write(Entry{Size: 1000, Make: func() *nats.Msg {
			made <- i
			return note(i)
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	natstest.Within(t, "those that were tried are smaller than it was thought", func() bool {
		left, bytes := j.Left()
		return left == n && len(made) > 0 && bytes < n*(1000+entryBytes)
	})
	natstest.Start(t, dir, port)
	takenNotes(t, j)
	if left, bytes := j.Left(); left != 0 || bytes != 0 {
		t.Errorf("%d messages, %d bytes left", left, bytes)
	}
	close(made)
	var order []int
	for i := range made {
		order = append(order, i)
	}
	if want := fmt.Sprint(count(n)); fmt.Sprint(order) != want || fmt.Sprint(notes(t, js)) != want {
		t.Errorf("made %v, stored %v", order, notes(t, js))
	}
}
