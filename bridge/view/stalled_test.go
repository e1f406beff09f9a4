package view

import (
	"testing"
	"time"
)

// A server of which nothing is stored is in trouble, however much room there is, and whatever
// the stream does with others' events.
func TestStalled_NothingIsStored(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	w.node("b1", []string{"pbx1"})
	tell := func(stalled int) {
		w.pass(5 * time.Second)
		w.tell("pbx1", "buffers", buffers(1003, 1000, fields{"outbox": outbox(1500, "normal"), "stalled_s": stalled}))
	}
	tell(0)
	equal(t, "it moves", w.of("pbx1").State, StateWell)
	tell(5)
	equal(t, "for one interval", w.of("pbx1").State, StateWell)
	tell(130)
	v := w.of("pbx1").Verdict
	equal(t, "state", v.State, StateTrouble)
	equal(t, "why", v.Why, "NATS has stored nothing of it for 2 min 10 s: 3 events wait in memory.")
	equal(t, "do", v.Do, "May the bridge publish on its subjects? The log says why: events wait in the outbox. Do not restart the bridge.")
	same(t, "since", v.Since, w.now.Add(-130*time.Second))
	equal(t, "exit code", w.snapshot().ExitCode(), 1)
	w.node("b1", []string{"pbx1"}, fields{"streams": []fields{{"name": "AMI_EVENTS", "state": "full", "error": "raise max_bytes", "since": text(w.now)}}})
	equal(t, "do, as the stream stands", w.of("pbx1").Do, "AMI_EVENTS is full: raise max_bytes. Do not restart the bridge.")
	tell(0)
	equal(t, "it moves again", w.of("pbx1").State, StateWell)
}
