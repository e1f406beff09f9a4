package bridge

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// unread is an answer that its client does not read until goOn is closed.
type unread struct {
	*httptest.ResponseRecorder
	begun *sync.WaitGroup
	once  sync.Once
	goOn  <-chan struct{}
}

func (u *unread) Write(text []byte) (int, error) {
	u.once.Do(u.begun.Done)
	<-u.goOn
	return u.ResponseRecorder.Write(text)
}

// Clients that ask for the metrics and do not read them are bounded.
func TestHTTP_ScrapesAreBounded(t *testing.T) {
	t.Parallel()
	pagetest.Limits(t, map[string]int{"maxScrapes": maxScrapes})
	b := testBridge(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), config.DeliverJetStream)
	scraped := b.scraped()
	request := func() *http.Request {
		return httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	}
	goOn := make(chan struct{})
	var begun, group sync.WaitGroup
	for range maxScrapes {
		begun.Add(1)
		u := &unread{ResponseRecorder: httptest.NewRecorder(), begun: &begun, goOn: goOn}
		group.Go(func() { scraped.ServeHTTP(u, request()) })
	}
	begun.Wait()
	refused, served := httptest.NewRecorder(), httptest.NewRecorder()
	if scraped.ServeHTTP(refused, request()); refused.Code != http.StatusServiceUnavailable {
		t.Errorf("one more is answered %d", refused.Code)
	}
	close(goOn)
	group.Wait()
	if scraped.ServeHTTP(served, request()); served.Code != http.StatusOK {
		t.Errorf("when they have been read one more is answered %d", served.Code)
	}
}
