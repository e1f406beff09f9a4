package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// unread is an answer that its client does not read until goOn is closed. It remembers where the bytes are that it was
// given.
type unread struct {
	*httptest.ResponseRecorder
	goOn <-chan struct{}
	text *byte
}

func (u *unread) Write(text []byte) (int, error) {
	u.text = &text[0]
	<-u.goOn
	return len(text), nil
}

// manyServers are so many that how they are takes megabytes.
func manyServers() *world {
	w := newWorld()
	for i := range 2000 {
		w.up(fmt.Sprintf("pbx-%04d", i), time.Hour)
	}
	return w
}

// Clients that ask how all is and do not read the answer hold one of each second together, however many they are;
// what is short is as it is now for each.
func TestStatus_SlowClientsShareTheAnswer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		w     *world
		texts int
	}{"large": {manyServers(), 3}, "short": {allWell(), 30}} {
		synctest.Test(t, func(t *testing.T) {
			s := served(test.w, nil)
			goOn := make(chan struct{})
			var group sync.WaitGroup
			var all []*unread
			for range 3 {
				for range 10 {
					u := &unread{httptest.NewRecorder(), goOn, nil}
					all = append(all, u)
					group.Go(func() {
						s.ServeHTTP(u, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/status.json", nil))
					})
				}
				synctest.Wait()
				time.Sleep(beat)
			}
			texts := make(map[*byte]bool)
			for _, u := range all {
				texts[u.text] = true
			}
			if len(texts) != test.texts {
				t.Errorf("%s: %d clients hold %d answers, want %d", name, len(all), len(texts), test.texts)
			}
			close(goOn)
			group.Wait()
		})
	}
}

// Of one picture the answer is made once.
func TestStatus_OfOnePicture(t *testing.T) {
	t.Parallel()
	snap := allWell().snapshot(view.NumbersNone)
	var r report
	one, other := r.at(func(view.Numbers) *view.Snapshot { return snap }), r.at(func(view.Numbers) *view.Snapshot { return snap })
	if &one[0] != &other[0] {
		t.Error("it is made twice")
	}
}

// Pages that nobody reads are bounded as well.
func TestPage_SoManyAreOnTheirWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := served(allWell(), nil)
		goOn := make(chan struct{})
		var group sync.WaitGroup
		load := func() *unread {
			u := &unread{httptest.NewRecorder(), goOn, nil}
			group.Go(func() { s.ServeHTTP(u, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)) })
			return u
		}
		for range maxListeners {
			load()
		}
		synctest.Wait()
		if next := get(t, s, "/"); next.Code != http.StatusServiceUnavailable || next.Header().Get("Retry-After") == "" {
			t.Errorf("one more is answered %d", next.Code)
		}
		if other := get(t, s, "/status.json"); other.Code != http.StatusOK {
			t.Errorf("how all is: %d", other.Code)
		}
		close(goOn)
		group.Wait()
		if next := get(t, s, "/"); next.Code != http.StatusOK {
			t.Errorf("when they are read one more is answered %d", next.Code)
		}
	})
}
