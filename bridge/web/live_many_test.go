package web

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowHub is one whose renders take so long each.
func slowHub(took time.Duration, fails func() bool) *hub {
	return &hub{clock: time.Now, render: func(page what) ([]fragment, error) {
		time.Sleep(took)
		if fails() {
			return nil, errors.New("it cannot be rendered")
		}
		return []fragment{{"text", fmt.Sprint(page.find, time.Now().UnixNano())}}, nil
	}}
}

// told is how many beats and changes of a page have come.
func told(l *listener) (beats, patches int) {
	for len(l.queue) > 0 {
		text := string(<-l.queue)
		beats, patches = beats+strings.Count(text, "event: beat"), patches+strings.Count(text, "event: patch")
	}
	return beats, patches
}

// Many different pages, of which all take longer to be rendered than there is time, are told each second that
// the bridge is there, and each is rendered in its turn; who comes and who goes waits for no page but its own.
func TestLive_ManyDifferentPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const took, pages = 50 * time.Millisecond, 60
		h := slowHub(took, func() bool { return false })
		var all []*listener
		for i := range pages {
			l, err := h.join(what{find: fmt.Sprint(i)})
			if err != nil || l == nil {
				t.Fatalf("%v, %v", l, err)
			}
			all = append(all, l)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for ticker := time.NewTicker(beat); h.open > 0; <-ticker.C {
				h.tell()
			}
		}()
		for _, l := range all {
			told(l)
		}
		var patches [pages]int
		for second := range 10 {
			time.Sleep(beat)
			for i, l := range all {
				beats, more := told(l)
				if patches[i] += more; beats != 1 && second > 0 {
					t.Errorf("second %d: page %d had %d beats", second, i, beats)
				}
			}
		}
		for i, n := range patches {
			if n < 1 || n > 3 {
				t.Errorf("in ten seconds page %d was told %d changes", i, n)
			}
		}
		time.Sleep(renderWork / 2) // some are being rendered
		before := time.Now()
		late, err := h.join(what{find: "0"})
		if waited := time.Since(before); err != nil || late == nil || waited > 0 {
			t.Errorf("one more waited for %v, %v", waited, err)
		}
		for page, r := range h.rooms {
			for l := range r.listeners {
				h.leave(page, l)
			}
		}
		<-ended
	})
}

// A page that cannot be rendered any more, be it for a fault, is not told that it is alive once it is too old, and is again when
// it can.
func TestLive_AnOldPageIsNotAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fails := false
		h := slowHub(0, func() bool { return fails })
		l, err := h.join(what{})
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			fails bool
			after time.Duration
			beats int
		}{{false, beat, 1}, {true, beat, 1}, {true, oldest, 0}, {true, beat, 0}, {false, beat, 1}} {
			told(l)
			fails = test.fails
			time.Sleep(test.after)
			h.tell()
			if beats, _ := told(l); beats != test.beats {
				t.Errorf("%+v: %d beats", test, beats)
			}
		}
		fails = true
		h.render = func(page what) ([]fragment, error) { panic("a fault") }
		time.Sleep(beat)
		h.tell()
		if other, err := h.join(what{find: "x"}); err == nil || other != nil || h.open != 1 || len(h.rooms) != 1 {
			t.Errorf("one that cannot be rendered: %v, %v, %d are open", other, err, h.open)
		}
	})
}
