package web

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// browserVariable names the browser, as a command or a path; 1 finds Debian's chromium.
const browserVariable = "BRIDGE_TEST_BROWSER"

// patience is for what takes milliseconds on an idle machine.
const patience = 30 * time.Second

// browserPath is the browser that the environment names.
func browserPath(t *testing.T) string {
	t.Helper()
	name := os.Getenv(browserVariable)
	if name == "" {
		t.Skipf("NOT RUN: no browser. `make browser` runs this with Debian's chromium; or set %s to one that is like it", browserVariable)
	}
	if name == "1" {
		name = "chromium"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s: %v. Debian has it as apt-get install chromium", browserVariable, err)
	}
	return path
}

// browser starts it.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := browserPath(t)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))
	ctx, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("%s does not start: %v", path, err)
	}
	return ctx
}

// tab is a page in the browser. All that goes wrong in it ends the test.
type tab struct {
	t     *testing.T
	ctx   context.Context
	close func() // a browser opens no more than six pages of one host
}

// open opens a tab that is so wide and so high, in the dark or in the light.
func open(t *testing.T, in context.Context, url string, wide, high int64, theme string) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(in)
	t.Cleanup(end)
	b := &tab{t, ctx, end}
	if err := chromedp.Do(ctx); err != nil { // a tab lives as long as the context of its first step
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(wide, high), call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	}), func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `window.wrong = [];
			addEventListener("error", (e) => wrong.push("error: " + e.message));
			addEventListener("unhandledrejection", (e) => wrong.push("rejection: " + e.reason));
			addEventListener("securitypolicyviolation", (e) => wrong.push("policy: " + e.violatedDirective + " " + e.blockedURI));`})
		return chromedp.Void{}, err
	}, chromedp.Navigate(url))
	return b
}

func call[P any](command cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, command, params)
		return chromedp.Void{}, err
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns what script says, which is text, or JSON of it.
func (b *tab) eval(script string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(() => { const x = (() => `+script+`)(); return typeof x === "string" ? x : JSON.stringify(x) ?? "undefined"; })()`))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return text
}

// comes waits until script is true.
func (b *tab) comes(script string) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; {
		if b.eval("!!("+script+")") == "true" {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("never came: %s; the page says %.600s", script, b.eval("document.body.innerText"))
		}
	}
}

// waits looks at the page until so.
func (b *tab) waits(what string, so func() bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); !so(); b.eval("0") {
		if time.Now().After(end) {
			b.t.Fatalf("never came: %s", what)
		}
	}
}

// shot keeps a picture among the test's artifacts.
func (b *tab) shot(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+".png"), picture, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// sound wants nothing to be wrong with the page: no error, nothing against the policy, no request to another
// host, nothing that is wider than the screen, and one heading over all.
func (b *tab) sound(what string) {
	b.t.Helper()
	if wrong := b.eval("wrong"); wrong != "[]" {
		b.t.Errorf("%s: %s", what, wrong)
	}
	if foreign := b.eval(`performance.getEntriesByType("resource").map((r) => r.name).filter((u) => !u.startsWith(location.origin) && !u.startsWith("data:"))`); foreign != "[]" {
		b.t.Errorf("%s asks elsewhere: %s", what, foreign)
	}
	if wide := b.eval(`document.documentElement.scrollWidth <= innerWidth ? "" : "" + document.documentElement.scrollWidth + " of " + innerWidth`); wide != "" {
		b.t.Errorf("%s scrolls sideways: %s", what, wide)
	}
	if n := b.eval(`document.querySelectorAll("h1").length`); n != "1" {
		b.t.Errorf("%s has %s headings over all", what, n)
	}
}

// contrast returns the texts whose colour is too near to what is behind it.
const contrast = `{
	const lum = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const rgb = (s) => s.match(/[\d.]+/g).map(Number);
	const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
	const low = [];
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; (n = walk.nextNode());) {
		const e = n.parentElement, box = e.getBoundingClientRect();
		if (!n.data.trim() || !box.width || e.closest("[hidden], .hide, title, script, noscript, style, dialog:not([open])")) continue;
		const a = lum(rgb(getComputedStyle(e).color).slice(0, 3)), b = lum(ground(e)), ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (ratio < 4.5) low.push(n.data.trim() + " " + ratio.toFixed(2));
	}
	return low;
}`
