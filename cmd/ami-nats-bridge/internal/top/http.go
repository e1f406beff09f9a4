package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

const (
	httpTimeout = 2 * time.Second
	httpFresh   = 5 * time.Second // an older answer is none
	httpBytes   = 64 << 20        // of an answer; what is longer is refused
)

// BridgeURL is the address of a bridge's HTTP server from what a user or BRIDGE_HTTP_ADDR
// says: a URL, or host:port. A wildcard is dialled as loopback.
func BridgeURL(addr string) (string, error) {
	text := addr
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("wants a URL or host:port of a bridge, such as http://127.0.0.1:9108")
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "" || ip != nil && ip.IsUnspecified() {
		host := "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
		u.Host = net.JoinHostPort(host, u.Port())
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/status.json")
	return u.String(), nil
}

// httpSource asks a bridge for /status.json.
type httpSource struct {
	url, shown string // shown without a password
	client     http.Client

	mu   sync.Mutex // protects the following
	snap *view.Snapshot
	at   time.Time
	err  string
}

func newHTTPSource(base string) *httpSource {
	s := &httpSource{url: base + "/status.json", shown: base, client: http.Client{Timeout: httpTimeout}, err: "not asked yet"}
	if u, err := url.Parse(base); err == nil {
		s.shown = u.Redacted()
	}
	return s
}

// ask asks once and keeps the answer.
func (s *httpSource) ask(ctx context.Context) {
	snap, err := s.get(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.err = reasonOf(err)
		return
	}
	s.snap, s.at, s.err = snap, time.Now(), ""
}

// last returns the last answer if it is fresh, and the error since.
func (s *httpSource) last(now time.Time) (*view.Snapshot, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snap == nil || now.Sub(s.at) > httpFresh {
		return nil, s.err
	}
	return s.snap, s.err
}

// get asks once. Of the answer the time is in the zone of this machine.
func (s *httpSource) get(ctx context.Context) (*view.Snapshot, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.shown, err)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the URL in it may have a password
		}
		return nil, fmt.Errorf("ask %s: %w", s.shown, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s: it answers %s", s.shown, answer.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, httpBytes+1))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.shown, err)
	}
	snap := new(view.Snapshot)
	if len(raw) > httpBytes || json.Unmarshal(raw, snap) != nil || snap.At.IsZero() {
		return nil, fmt.Errorf("ask %s: its answer is no status of a bridge", s.shown)
	}
	snap.At = view.Time{Time: snap.At.Local()}
	return snap, nil
}
