package web

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// road is the way from a browser to the bridge. What comes back may be late, and connections may be silent for
// ever without being closed, as behind a firewall that has forgotten them.
type road struct {
	net.Listener
	late atomic.Int64 // in nanoseconds
	// beats is how many signs of life have gone this way, late or not.
	beats    atomic.Int64
	accepted atomic.Int64 // connections

	mu     sync.Mutex
	silent context.CancelFunc // of the connections that there are
	until  context.Context
	group  sync.WaitGroup
}

func newRoad(t *testing.T, to string) *road {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &road{Listener: l}
	r.hush()
	ctx, cancel := context.WithCancel(t.Context())
	r.group.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			r.accepted.Add(1)
			r.group.Go(func() { r.carry(ctx, client, to) })
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); r.group.Wait() })
	return r
}

// hush has nothing come any more by the connections that there are.
func (r *road) hush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent != nil {
		r.silent()
	}
	r.until, r.silent = context.WithCancel(context.Background())
}

// carry carries until ctx ends.
func (r *road) carry(ctx context.Context, client net.Conn, to string) {
	server, err := net.Dial("tcp", to)
	if err != nil {
		client.Close()
		return
	}
	r.mu.Lock()
	until := r.until
	r.mu.Unlock()
	type piece struct {
		text []byte
		at   time.Time
	}
	pieces := make(chan piece, 1<<12)
	var group sync.WaitGroup
	defer group.Wait()
	stop := context.AfterFunc(ctx, func() { client.Close(); server.Close() })
	defer stop()
	group.Go(func() { _, _ = io.Copy(server, client) })
	group.Go(func() {
		defer close(pieces)
		for {
			text := make([]byte, 1<<16)
			n, err := server.Read(text)
			if err != nil {
				return
			}
			pieces <- piece{text[:n], time.Now()}
		}
	})
	for p := range pieces {
		timer := time.NewTimer(time.Until(p.at.Add(time.Duration(r.late.Load()))))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		if until.Err() == nil {
			_, _ = client.Write(p.text)
			r.beats.Add(int64(bytes.Count(p.text, []byte("event: beat"))))
		}
	}
	if until.Err() == nil {
		client.Close()
	}
}

const isLive = `document.querySelector("#dead").hidden && !document.documentElement.classList.contains("stopped")`

// watchesLife has what it returns want the page not to have been live since, not for a moment.
func (b *tab) watchesLife() (neverLived func()) {
	b.t.Helper()
	b.eval(`(window.lived = 0, new MutationObserver(() => window.lived += !document.documentElement.classList.contains("stopped")).observe(
		document.documentElement, { attributes: true }), 0)`)
	return func() {
		b.t.Helper()
		if n := b.eval("window.lived"); n != "0" {
			b.t.Errorf("the page was live %s times while all was late", n)
		}
	}
}

// What comes late is not shown as that of now, and the page says how late it is, by another connection as well; when it
// comes in time again the page is live by itself. After 8 s of nothing a page asks anew, so that it is late by less.
func TestBrowser_WhatIsLateIsNotLive(t *testing.T) {
	in, w := browser(t), allWell()
	w.goesOn = time.Now()
	server := site(t, w)
	r := newRoad(t, server.Listener.Addr().String())
	b := open(t, in, "http://"+r.Addr().String(), 1440, 900, "light")
	b.comes(`document.querySelector("#s-pbx-fra-01")`)
	b.waits("beats, by which it knows how quick they are", func() bool { return r.beats.Load() >= 3 })
	b.comes(isLive)
	r.late.Store(int64(6500 * time.Millisecond))
	const isLate = `/ may be \d+ s late/.test(document.querySelector("#dead").textContent)`
	b.comes(isLate)
	neverLived := b.watchesLife()
	before := r.accepted.Load()
	server.CloseClientConnections()
	b.waits("another connection", func() bool { return r.accepted.Load() > before })
	b.eval(`(document.querySelector("#dead").textContent = "", 0)`)
	b.comes(isLate)
	neverLived()
	r.late.Store(0)
	b.comes(isLive)
	b.sound("late")
}

// What was late before the page was opened is as late as what has become so.
func TestBrowser_WhatIsLateFromTheStartIsNotLive(t *testing.T) {
	in, w := browser(t), allWell()
	w.goesOn = time.Now()
	r := newRoad(t, site(t, w).Listener.Addr().String())
	r.late.Store(int64(6500 * time.Millisecond))
	b := open(t, in, "http://"+r.Addr().String(), 1440, 900, "light")
	b.comes(`/ may be \d+ s late/.test(document.querySelector("#dead").textContent)`)
	neverLived := b.watchesLife()
	before := r.beats.Load()
	b.waits("more beats", func() bool { return r.beats.Load() > before+2 })
	neverLived()
	r.late.Store(0)
	b.comes(isLive)
	b.sound("late from the start")
}

// Events have a connection of their own: where that alone is late they are not live, pause pressed or not.
func TestBrowser_LateEventsAreNotLive(t *testing.T) {
	in, w := browser(t), allWell()
	w.goesOn = time.Now()
	server := site(t, w)
	r := newRoad(t, server.Listener.Addr().String())
	late := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: r.Addr().String()})
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/tap" {
			late.ServeHTTP(w, r)
			return
		}
		server.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	b := open(t, in, front.URL+"/?view=events", 1440, 900, "light")
	t.Cleanup(b.close)
	happens := func() { w.happens("Hangup", fields{"Event": "Hangup", "Cause": "16"}) }
	const says = `document.querySelector("#tap-state").textContent`
	b.comesOf(happens, says+`.startsWith("Live.")`)
	r.late.Store(int64(7 * time.Second))
	b.comesOf(happens, `/^Not live: .* \d+ s late/.test(`+says+`)`)
	if said := b.eval(`(document.querySelector("#pause").click(), document.querySelector("#pause").click(), ` + says + `)`); !strings.HasPrefix(said, "Not live") {
		t.Errorf("with pause pressed twice it says %q", said)
	}
	r.late.Store(0)
	b.comesOf(happens, says+`.startsWith("Live.")`)
	b.sound("late events")
}

// A connection by which nothing comes any more, and that nobody closes, is given up for another one.
func TestBrowser_ASilentConnectionIsGivenUp(t *testing.T) {
	in := browser(t)
	r := newRoad(t, site(t, allWell()).Listener.Addr().String())
	b := open(t, in, "http://"+r.Addr().String(), 1440, 900, "light")
	b.comes(`document.querySelector("#s-pbx-fra-01")`)
	b.comes(isLive)
	r.hush()
	b.comes(`document.querySelector("#dead").textContent.includes("nothing has come from the bridge")`)
	b.comes(isLive)
	b.sound("silent")
}

// A page of events whose connection was silent, or ended, says from when until when it has seen nothing, and what it
// had shown stays.
func TestBrowser_EventsThatWereNotSeen(t *testing.T) {
	in := browser(t)
	w := allWell()
	r := newRoad(t, site(t, w).Listener.Addr().String())
	b := open(t, in, "http://"+r.Addr().String()+"/?view=events", 1440, 900, "light")
	happens := func(cause string) func() {
		return func() { w.happens("Hangup", fields{"Event": "Hangup", "Cause": cause}) }
	}
	b.comesOf(happens("16"), `document.querySelector("#tap").innerText.includes("Cause=16")`)
	// It is live again as soon as another connection is there, so that all it says is kept.
	b.eval(`(window.said = [], new MutationObserver(() => window.said.push(document.querySelector("#tap-state").textContent)).observe(
		document.querySelector("#tap-state"), {childList: true, characterData: true, subtree: true}), 0)`)
	r.hush()
	b.comes(`window.said.some((text) => text.startsWith("Not live"))`)
	b.comesOf(happens("17"), `document.querySelector("#tap li").innerText.includes("Cause=17")`)
	b.comes(`document.querySelector("#tap .gap")?.innerText.includes("NOT SEEN") && document.querySelector("#tap").innerText.includes("Cause=16")`)
	b.comes(`document.querySelector("#tap-state").textContent.startsWith("Live.")`)
	b.sound("events that were not seen")
}
