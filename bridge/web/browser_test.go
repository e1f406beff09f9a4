package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// site is w in a server of its own, live.
func site(t *testing.T, w *world) *httptest.Server {
	t.Helper()
	s := served(w, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { s.Run(ctx) })
	server := httptest.NewServer(s)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close(); cancel(); group.Wait() })
	return server
}

// Each state of the world, on screens from the smallest telephone to a wall: nothing is wrong with any, each can
// be read, and of each there is a picture.
func TestBrowser_Pictures(t *testing.T) {
	in := browser(t)
	for _, test := range []struct {
		name, path, says string
		world            *world
		pictures         []string // width x height and theme
	}{
		{"well", "/", "All 12 servers are well", allWell(), []string{"1440x900 light", "400x800 dark"}},
		{"ill", "/", "3 of 12 servers are ill", threeIll(), []string{"1440x1100 light", "1440x900 dark", "400x800 dark", "320x700 light"}},
		{"nats", "/", "NATS is down, nothing is lost yet", natsDown(), []string{"1440x1000 dark", "320x700 light"}},
		{"server", "/?server=pbx-ber-03", "pbx-ber-03 is losing events", threeIll(), []string{"1440x1180 light", "320x700 dark"}},
		{"queues", "/?server=pbx-ber-01", "support-de", withFloor(), []string{"1440x1400 light", "320x700 dark"}},
		{"shared", "/", "b1 leads, b2 in sync", sharedOut(), []string{"1440x900 light", "320x700 dark"}},
		{"floor", "/?view=floor", "Longest wait", withFloor(), []string{"1440x1000 light", "400x800 dark", "320x700 light"}},
		{"wall", "/?view=wall", "Longest wait", withFloor(), []string{"3840x2160 dark", "1920x1080 light"}},
		{"calls", "/?view=calls", "39 calls are up", withFloor(), []string{"1440x900 light", "320x700 dark"}},
		{"empty", "/", "No server is known", newWorld(), []string{"1440x1000 light", "400x900 dark"}},
		{"off", "/?view=floor", "The state is off", stateOff(), []string{"1440x900 dark"}},
	} {
		server := site(t, test.world)
		for _, size := range test.pictures {
			var wide, high int64
			var theme string
			if _, err := fmt.Sscanf(size, "%dx%d %s", &wide, &high, &theme); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%s-%s-%d", test.name, theme, wide)
			b := open(t, in, server.URL+test.path, wide, high, theme)
			b.comes(fmt.Sprintf(`document.body.innerText.includes(%q)`, test.says))
			b.comes(`document.documentElement.dataset.script === "" && document.querySelector("#dead").hidden`)
			b.sound(name)
			if low := b.eval(contrast); low != "[]" {
				t.Errorf("%s: hard to read: %s", name, low)
			}
			b.shot(name)
			b.close()
		}
	}
}

// What changes comes by itself, and leaves the focus where it is; when the bridge is gone the page says since when
// and stands still, and when it is back goes on.
func TestBrowser_Live(t *testing.T) {
	in := browser(t)
	w := allWell()
	s := served(w, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { s.Run(ctx) })
	server := httptest.NewServer(s)
	defer server.Close()
	b := open(t, in, server.URL, 1440, 900, "light")
	b.comes(`document.title === "✓ 12 well · ami-nats-bridge" && !document.querySelector("#clock").textContent.startsWith("00")`)
	b.eval(`{ window.same = true; document.querySelector("#s-pbx-fra-01 a").focus(); }`)
	w.pass(time.Second)
	w.lose("pbx-muc-02", "dial", "dial tcp 10.20.4.12:5038: connect: connection refused", 31*time.Second)
	b.comes(`document.querySelector("h1").textContent === "1 of 12 servers is ill"`)
	b.comes(`document.title === "✕ 1 ill · ami-nats-bridge" && document.querySelector("#ill #s-pbx-muc-02") && !document.querySelector("#well #s-pbx-muc-02")`)
	b.comes(`document.querySelector("[data-until]").textContent === "0:31" && document.querySelector("#ill").innerText.includes("Nothing listens at 10.20.4.12:5038: connection refused.")`)
	if focus := b.eval(`document.activeElement.textContent`); focus != "pbx-fra-01" {
		t.Errorf("the focus is on %q", focus)
	}
	w.pass(9 * time.Second)
	b.comes(`document.querySelector("[data-until]").textContent === "0:22"`)
	b.comes(`document.querySelector("#ill [data-since]").textContent === "9 s"`)

	server.CloseClientConnections()
	listener := server.Listener.Addr().String()
	server.Listener.Close()
	b.comes(`!document.querySelector("#dead").hidden && /^Not live since [0-9-]{10} 03:03:/.test(document.querySelector("#dead").textContent)`)
	b.comes(`document.title.startsWith("◌ ") && document.documentElement.classList.contains("stopped")`)
	frozen := b.eval(`document.querySelector("#clock").textContent`)
	w.pass(time.Hour)
	again := httptest.NewUnstartedServer(s)
	again.Listener.Close()
	again.Listener = listen(t, listener)
	again.Start()
	t.Cleanup(func() { again.CloseClientConnections(); again.Close() })
	b.comes(`document.querySelector("#dead").hidden && !document.documentElement.classList.contains("stopped")`)
	b.comes(fmt.Sprintf(`document.querySelector("#clock").textContent.startsWith("04:03") && %q.startsWith("03:03")`, frozen))
	if b.eval("window.same") != "true" {
		t.Error("the page was loaded anew")
	}
	b.sound("live")
}

// All of it is reached by the keyboard alone.
func TestBrowser_Keys(t *testing.T) {
	in := browser(t)
	server := site(t, allWell())
	b := open(t, in, server.URL, 1440, 900, "light")
	press := func(keys string) { // as a keyboard does: what a page has taken as a key is no text
		t.Helper()
		for _, r := range keys {
			down := *kb.Encode(r)[0]
			if r != 0x1b {
				down.Text = string(r)
			}
			up := down
			up.Type, up.Text = input.DispatchKeyEventTypeKeyUp, ""
			b.do(call(input.DispatchKeyEvent, down), call(input.DispatchKeyEvent, up))
		}
	}
	at := func(want string) {
		b.t.Helper()
		b.comes(fmt.Sprintf(`location.pathname + location.search === %q && document.querySelector("#clock")?.textContent`, want))
	}
	focus := func(want string) {
		b.t.Helper()
		b.comes(fmt.Sprintf(`document.activeElement.textContent === %q`, want))
	}
	at("/")
	press("j")
	focus("pbx-ber-01")
	press("j")
	press("j")
	press("k")
	focus("pbx-ber-02")
	press("\r")
	at("/?server=pbx-ber-02")
	press("j")
	at("/?server=pbx-ber-03")
	press("\x1b")
	at("/")
	press("s")
	at("/?sort=events&find=")
	if sorted := b.eval(`document.querySelector("th[aria-sort]").textContent`); sorted != "Events/s" {
		t.Errorf("sorted by %q", sorted)
	}
	press("/")
	b.comes(`document.activeElement.id === "find"`)
	press("koe\r")
	at("/?sort=events&find=koe")
	b.comes(`document.querySelectorAll("#well tbody tr").length === 1`)
	press("\x1b")
	at("/")
	press("?")
	b.comes(`document.querySelector("dialog").open && document.querySelector("dialog").innerText.includes("wallboard")`)
	press("\x1b")
	b.comes(`!document.querySelector("dialog").open`)
	press("t")
	b.comes(`document.documentElement.dataset.theme === "dark"`)
	press("f")
	at("/?view=floor")
	b.comes(`document.documentElement.dataset.theme === "dark"`) // it is remembered
	press("w")
	at("/?view=wall")
	press("\x1b")
	at("/?view=floor")
	press("c")
	at("/?view=calls")
	press("h")
	at("/")
	press("y")
	b.comes(`!document.querySelector("#said").hidden`)
	b.sound("keys")
}

// Without a script the page says the same, and comes anew by itself.
func TestBrowser_WithoutScript(t *testing.T) {
	in := browser(t)
	server := site(t, threeIll())
	b := open(t, in, "about:blank", 1440, 1000, "light")
	b.do(call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(server.URL))
	page := b.eval(`document.documentElement.outerHTML`) // the test's own script does run
	for _, want := range []string{"3 of 12 servers are ill", "all since 02:53:14 number unknown", "Nothing listens at", "4 min 20 s", "next try in 0:31", "up 6 d 4 h"} {
		if said := textOf(page); !strings.Contains(said, want) {
			t.Errorf("%q is not in %s", want, said)
		}
	}
	if strings.Contains(page, "data-script") || !strings.Contains(page, `http-equiv="refresh"`) || b.eval(`getComputedStyle(document.querySelector("#open-keys")).display`) != "none" {
		t.Error("the script has run, or there is a button that needs it")
	}
	b.shot("without-script")
}

// Whatever Asterisk or NATS calls a thing is text in a browser too, in a whole page and in what comes live.
func TestBrowser_HostileTextIsText(t *testing.T) {
	in := browser(t)
	w := hostileWorld()
	server := site(t, w)
	for _, path := range append([]string{"/?server=pbx-ber-01"}, everyPage...) {
		b := open(t, in, server.URL+path, 1440, 900, "light")
		b.comes(`document.querySelector("#clock")?.textContent`)
		w.pass(time.Second)
		w.lose("pbx-fra-01", "dial", hostile, time.Second)
		if strings.Contains(path, "view=floor") || path == "/" {
			b.comes(`document.body.innerText.includes("<script>pwned=1</script>")`)
		}
		if got := b.eval(`[typeof pwned, document.querySelectorAll("script").length, document.querySelectorAll("img").length, document.querySelectorAll("[onerror], [onmouseover]").length]`); got != `["undefined",1,0,0]` {
			t.Errorf("%s: %s", path, got)
		}
		b.sound(path)
		b.close()
	}
}

// A browser whose clock is off shows the bridge's.
func TestBrowser_ClockOfTheBridge(t *testing.T) {
	in := browser(t)
	w := threeIll() // in November, which no browser's clock has
	server := site(t, w)
	b := open(t, in, server.URL, 1440, 900, "light")
	b.comes(`document.querySelector("#clock").textContent.startsWith("03:03:")`)
	want := view.Age(w.clock().Sub(start.Add(-10 * time.Minute)))
	b.comes(fmt.Sprintf(`document.querySelector("#s-pbx-muc-02 [data-since]").textContent.startsWith(%q)`, want))
}

// Ages and clocks are what package view says, for the script has the same rules a second time.
func TestBrowser_TimesAreAsInPackageView(t *testing.T) {
	in := browser(t)
	server := site(t, newWorld())
	b := open(t, in, server.URL, 1440, 900, "light")
	b.comes(`document.querySelector("#clock")?.textContent`)
	var seconds []int
	for s := 1; s < 100*86400; s += s/7 + 1 {
		seconds = append(seconds, s)
	}
	asked, _ := json.Marshal(seconds)
	var got [][2]string
	script := `{ const main = document.querySelector("#main"), now = ` + fmt.Sprint(start.UnixMilli()) + `;
		const all = ` + string(asked) + `.map((s) => { const pair = ["since", "clock"].map((k) => { const e = document.createElement("span"); e.dataset[k] = now - 1000 * s; main.append(e); return e; }); return pair; });
		window.ages = all; return ""; }`
	b.eval(script)
	b.comes(`ages.at(-1)[1].textContent`)
	if err := json.Unmarshal([]byte(b.eval(`ages.map((pair) => pair.map((e) => e.textContent))`)), &got); err != nil {
		t.Fatal(err)
	}
	late := 0
	for i, s := range seconds {
		d := time.Duration(s) * time.Second
		ok := false
		for _, more := range []time.Duration{0, time.Second, 2 * time.Second} { // the script's clock goes on between two beats
			ok = ok || got[i] == [2]string{view.Age(d + more), view.Clock(d + more)}
		}
		if !ok {
			late++
			t.Errorf("%v: %q, want %q", d, got[i], [2]string{view.Age(d), view.Clock(d)})
		}
	}
	if len(got) < 50 || late > 5 {
		t.Errorf("%d times, %d wrong", len(got), late)
	}
}
