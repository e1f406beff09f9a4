package web

import (
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// get is what s answers to a request for path.
func get(t *testing.T, h http.Handler, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for _, c := range change {
		c(request)
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return recorder
}

// text is what is left of a page without its elements.
func textOf(page string) string {
	page = regexp.MustCompile(`(?s)<(script|svg).*?</(script|svg)>`).ReplaceAllString(page, " ")
	return strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " "))), " ")
}

var everyPage = []string{"/", "/?server=pbx-ber-03", "/?server=nobody", "/?view=floor", "/?view=wall", "/?view=calls", "/?sort=events&find=ber", "/?view=nonsense&sort=nonsense"}

// A page says the words of the snapshot: the verdict, and of each ill server why, what to do and
// what is lost, in the snapshot's order. The rest are in a table.
func TestPage_SaysWhatTheSnapshotSays(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]*world{"well": allWell(), "ill": threeIll(), "nats": natsDown(), "floor": withFloor(), "nothing": newWorld()} {
		snap := w.snapshot(view.NumbersLast4)
		page := get(t, served(w, nil), "/")
		said := textOf(page.Body.String())
		wants := func(what string) (at int) {
			what = strings.Join(strings.Fields(what), " ")
			if at = strings.Index(said, what); at < 0 {
				t.Errorf("%s: %q is not on the page:\n%s", name, what, said)
			}
			return at
		}
		wants(snap.Headline.Text)
		wants(snap.Headline.More)
		last := 0
		for i := range snap.Servers {
			s := &snap.Servers[i]
			wants(s.Name)
			if !s.State.Ill() || !snap.NATS.Up && s.Losing == nil {
				continue
			}
			at := wants(s.Name + " " + s.Word + " " + s.Why + " " + s.Do)
			if at < last {
				t.Errorf("%s: %s is not in its place", name, s.Name)
			}
			last = at
			if s.Losing != nil && s.Losing.Events == nil {
				wants("all since " + view.Moment(s.Losing.Since, w.now) + " number unknown")
			}
		}
		for _, path := range everyPage {
			if code := get(t, served(w, nil), path).Code; code != http.StatusOK {
				t.Errorf("%s: %s is %d", name, path, code)
			}
		}
	}
}

// The row of a server that is well has the same figures of its sessions, breaker, Actions and
// drops as top has, in the words of package view.
func TestPage_WellServersHaveTheirLinks(t *testing.T) {
	t.Parallel()
	w := threeIll()
	page := get(t, served(w, nil), "/").Body.String()
	head := textOf(page)
	for _, column := range []string{"In flight", "Refused", "Last gap Dropped Sessions Breaker"} {
		if !strings.Contains(head, column) {
			t.Errorf("no column %s: %s", column, head)
		}
	}
	rows, seen := strings.Split(page, `<tr id="s-`), 0
	snap := w.snapshot(view.NumbersLast4)
	for i := range snap.Servers {
		s := &snap.Servers[i]
		for _, row := range rows[1:] {
			if !strings.HasPrefix(row, s.Name+`"`) {
				continue
			}
			seen++
			row, _, _ = strings.Cut(row, "</tr>")
			want := `<td class="r">` + s.DroppedText() + "</td><td>" + s.SessionsText() + "</td><td>" + s.BreakerText() + "</td>"
			if s.SessionsText() == "" || !strings.HasSuffix(row, want) || !strings.Contains(row, `<td class="r">`+s.PendingText()+"</td>") {
				t.Errorf("%s: it does not say %s in flight and %s: %s", s.Name, s.PendingText(), want, row)
			}
		}
	}
	if seen != 9 {
		t.Errorf("%d rows", seen)
	}
}

// A server whose sessions are not up is not ready.
func TestPage_ReadyServers(t *testing.T) {
	t.Parallel()
	for want, w := range map[string]*world{"ready servers 12 of 12": allWell(), "ready servers 10 of 12": threeIll()} {
		if said := textOf(get(t, served(w, nil), "/").Body.String()); !strings.Contains(said, want) {
			t.Errorf("it does not say %q: %s", want, said)
		}
	}
}

// What is looked for is found, by name, word or reason; what is ill and does not match is not
// forgotten.
func TestPage_FindsAndSorts(t *testing.T) {
	t.Parallel()
	s := served(threeIll(), nil)
	said := textOf(get(t, s, "/?find=BER").Body.String())
	if !strings.Contains(said, "“BER”: 3 of 12 match, 2 ill do not") || strings.Contains(said, "pbx-fra-01") {
		t.Errorf("BER: %s", said)
	}
	if said = textOf(get(t, s, "/?find=auth").Body.String()); !strings.Contains(said, "“auth”: 1 of 12 match, 2 ill do not") {
		t.Errorf("auth: %s", said)
	}
	order := func(path string) (names []string) {
		for _, m := range regexp.MustCompile(`<tr id="s-([^"]*)"`).FindAllStringSubmatch(get(t, s, path).Body.String(), -1) {
			names = append(names, m[1])
		}
		return names
	}
	byName, byOutbox := order("/"), order("/?sort=outbox")
	if len(byName) != 9 || byName[0] != "pbx-ber-01" || len(byOutbox) != 9 || byOutbox[0] != "pbx-stg-01" || byOutbox[8] != "pbx-ber-01" {
		t.Errorf("by name %q, by outbox %q", byName, byOutbox)
	}
}

// hostile is a text that would do harm if it were taken for HTML, for a URL, or for text from
// right to left.
const hostile = `"><script>pwned=1</script><img src=x onerror=pwned=1>'onmouseover='javascript:pwned=1//` + "\u202e\x1b[2J"

// hostileWorld has it in every place that a name from Asterisk or NATS has.
func hostileWorld() *world {
	w := withFloor()
	w.put("pbx-ber-01.queue.x", fields{"Queue": hostile})
	w.put("pbx-ber-01.caller.x.1", fields{"Queue": hostile, "CallerIDNum": hostile, "Position": "1", "Since": stamp(start)})
	w.put("pbx-ber-01.channel.9", fields{"Uniqueid": "9", "Linkedid": "9", "CallerIDNum": hostile, "ConnectedLineNum": hostile, "Channel": hostile, "ChannelStateDesc": hostile, "Since": stamp(start)})
	w.put("pbx-ber-01.member.x.y", fields{"Queue": hostile, "Interface": hostile, "MemberName": hostile, "Status": "1", "Paused": "1", "PausedReason": hostile})
	w.lose("pbx-ber-01", "dial", hostile, time.Second)
	w.lose("pbx-ber-02", hostile, hostile, time.Second)
	w.tell("ami.status.pbx-ber-03.connection", fields{"role": "event", "to": hostile, "since": stamp(start), "reason": hostile, "error": hostile, "version": hostile, "addr": hostile})
	w.tell("ami.status.pbx-ber-03.breaker", fields{"to": hostile, "reason": hostile, "error": hostile, "since": stamp(start), "failures": 3})
	w.tell("ami.status.pbx-ber-03.gap", fields{"from": stamp(start), "to": stamp(start), "reason": hostile})
	w.tell("ami.status.pbx-ber-03.ha", fields{"leader": hostile, "term": 1, "reason": hostile})
	w.tell("ami.nodes.b1", fields{"version": hostile, "servers": twelve, "nats": hostile, "way": hostile, "delivery": hostile, "unanswered": []string{hostile},
		"connections": fields{"events": "CONNECTED", "control": hostile}, "streams": []fields{{"name": hostile, "state": hostile, "error": hostile, "since": stamp(start)}}})
	return w
}

// Whatever Asterisk or NATS calls a thing is text on the page, and nothing else: no element, attribute or
// URL is made of it, in a whole page or in what is sent live. So is what a visitor looks for.
func TestPage_HostileTextIsText(t *testing.T) {
	t.Parallel()
	s := served(hostileWorld(), func(o *Options) { o.Numbers = view.NumbersFull })
	seen := 0
	harmless := func(what, page string) {
		t.Helper()
		for _, bad := range []string{"<script>p", "<img", "onerror=pwned=1>", `"javascript:`, "\x1b", "\u202e"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s has %q: %.300s", what, bad, page[max(0, strings.Index(page, bad)-100):])
			}
		}
		for _, m := range regexp.MustCompile(` (on\w+|href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if strings.HasPrefix(m[1], "on") || !strings.HasPrefix(m[2], "/") && !strings.HasPrefix(m[2], "#") && !strings.HasPrefix(m[2], "data:image/svg+xml,") {
				t.Errorf("%s has %s", what, m[0])
			}
		}
		seen += strings.Count(html.UnescapeString(page), "<script>pwned=1</script>")
	}
	for _, path := range append([]string{"/?server=pbx-ber-01", "/?server=pbx-ber-02", "/?find=" + "%22%3E%3Cscript%3Epwned%3D1%3C%2Fscript%3E", "/?server=%22%3E%3Cscript%3Epwned%3D1%3C"}, everyPage...) {
		harmless(path, get(t, s, path).Body.String())
		all, err := s.fragments(asked(httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)))
		if err != nil {
			t.Error(err)
		}
		for _, f := range all {
			harmless(path+" "+f.ID, f.HTML)
		}
	}
	if seen < 50 {
		t.Errorf("it was seen %d times: this test does not see it", seen)
	}
}

// A page asks the browser to load what is from here and nothing else, to be in no frame, and to tell nobody.
func TestPage_Headers(t *testing.T) {
	t.Parallel()
	s := served(allWell(), nil)
	for _, path := range []string{"/", "/page.css", "/page.js", "/nothing", "/status.json"} {
		h := get(t, s, path).Header()
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
	}
	h := get(t, s, "/").Header()
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(h.Get("Content-Security-Policy"), want) || strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("the policy is %q, without %s", h.Get("Content-Security-Policy"), want)
		}
	}
	if h.Get("Cache-Control") != "no-store" {
		t.Errorf("a page may be kept: %q", h.Get("Cache-Control"))
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, "/", nil))
		if recorder.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s is %d", method, recorder.Code)
		}
	}
}

// Who has the password sees the page, whatever the user is called; who does not, sees none of it. The status
// without numbers is for everybody.
func TestPage_Password(t *testing.T) {
	t.Parallel()
	s := served(withFloor(), func(o *Options) { o.Password = "correct horse" })
	for _, path := range []string{"/", "/live", "/page.js", "/page.css", "/?view=floor"} {
		for _, given := range []string{"", "wrong", "correct hors", "correct horse "} {
			answer := get(t, s, path, func(r *http.Request) { r.SetBasicAuth("anybody", given) })
			if answer.Code != http.StatusUnauthorized || !strings.HasPrefix(answer.Header().Get("WWW-Authenticate"), "Basic ") || strings.Contains(answer.Body.String(), "pbx-") {
				t.Errorf("%s with %q: %d", path, given, answer.Code)
			}
		}
		if answer := get(t, s, path); answer.Code != http.StatusUnauthorized {
			t.Errorf("%s without any: %d", path, answer.Code)
		}
	}
	for _, user := range []string{"", "anybody"} {
		if answer := get(t, s, "/", func(r *http.Request) { r.SetBasicAuth(user, "correct horse") }); answer.Code != http.StatusOK {
			t.Errorf("with it: %d", answer.Code)
		}
	}
	if answer := get(t, s, "/status.json"); answer.Code != http.StatusOK || strings.Contains(answer.Body.String(), "…0145") {
		t.Errorf("the status: %d", answer.Code)
	}
}

// Where there is no page it says why; the status is there all the same.
func TestPage_Off(t *testing.T) {
	t.Parallel()
	s := served(allWell(), func(o *Options) { o.Off = "There is no page here: for a reason." })
	for _, path := range []string{"/", "/live", "/page.js"} {
		if answer := get(t, s, path); answer.Code != http.StatusNotFound || answer.Body.String() != "There is no page here: for a reason.\n" {
			t.Errorf("%s: %d %q", path, answer.Code, answer.Body)
		}
	}
	if answer := get(t, s, "/status.json"); answer.Code != http.StatusOK {
		t.Errorf("the status: %d", answer.Code)
	}
}

// Of a caller's number is seen what the settings say, on every page and in what is sent live.
func TestPage_Numbers(t *testing.T) {
	t.Parallel()
	for numbers, want := range map[view.Numbers][2]bool{view.NumbersFull: {true, true}, view.NumbersLast4: {false, true}, view.NumbersNone: {false, false}} {
		s := served(withFloor(), func(o *Options) { o.Numbers = numbers })
		full, last4 := false, false
		for _, path := range append([]string{"/?server=pbx-ber-01", "/?server=pbx-muc-02"}, everyPage...) {
			var page strings.Builder
			page.WriteString(get(t, s, path).Body.String())
			all, err := s.fragments(asked(httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range all {
				page.WriteString(f.HTML)
			}
			full, last4 = full || strings.Contains(page.String(), "49305550"), last4 || strings.Contains(page.String(), "0145")
		}
		if full != want[0] || last4 != want[1] {
			t.Errorf("%s: whole numbers %v, four digits %v", numbers, full, last4)
		}
	}
}

// Without AMI_STATE each page that would show it says why there is nothing to see, and what brings it.
func TestPage_SaysWhyThereIsNoFloor(t *testing.T) {
	t.Parallel()
	waits, none, old := allWell(), allWell(), allWell()
	waits.kept = fields{"state": "waiting", "reason": "the bucket is missing"}
	old.kept = fields{}
	for _, w := range []*world{waits, old} {
		w.node(twelve, "CONNECTED")
	}
	for want, w := range map[string]*world{
		"The state is off: the bucket is no_permission: Permissions Violation.":     stateOff(),
		"The state waits: the bucket is missing.":                                   waits,
		"The state is kept of no server: BRIDGE_AMI_STATE says of which, and what.": none,
		"The state is off: BRIDGE_STATE, or there is no bucket.":                    old,
		"Nothing is known of the state of calls, queues and agents yet.":            newWorld(),
	} {
		for _, path := range []string{"/?view=floor", "/?view=wall", "/?view=calls", "/?server=pbx-ber-01"} {
			said := textOf(get(t, served(w, nil), path).Body.String())
			if path == "/?server=pbx-ber-01" && len(w.snapshot(view.NumbersNone).Servers) == 0 {
				continue
			}
			if !strings.Contains(said, want) {
				t.Errorf("%s does not say %q: %s", path, want, said)
			}
		}
	}
}

// Where only one server's state is not kept, or is stale, its own page and the floor say why.
func TestPage_SaysWhyAServerHasNoFloor(t *testing.T) {
	t.Parallel()
	w := withFloor()
	if said := textOf(get(t, served(w, nil), "/?server=pbx-fra-01").Body.String()); !strings.Contains(said, "Nothing is kept of what is up at pbx-fra-01: BRIDGE_AMI_STATE,") {
		t.Errorf("it is not kept: %s", said)
	}
	w.lose("pbx-muc-02", "dial", "dial tcp 10.20.4.12:5038: connect: connection refused", 31*time.Second)
	if said := textOf(get(t, served(w, nil), "/?view=floor").Body.String()); !strings.Contains(said, "are as they were then. Nothing listens at 10.20.4.12:5038: connection refused.") {
		t.Errorf("it is stale: %s", said)
	}
}

// What is not all known, or left out, is said wherever it would be shown as that of now.
func TestPage_SaysWhatIsNotAllKnown(t *testing.T) {
	t.Parallel()
	w := withFloor()
	w.put("pbx-ber-01.server", fields{"state": "live", "not_kept": fields{"caller": "timeout"}})
	const partial = "not all is known: caller (timeout)."
	for path, want := range map[string]string{
		"/?view=floor": "live, 0 of 12 servers pbx-ber-01: " + partial, "/?view=wall": "live, 0 of 12 servers pbx-ber-01: " + partial, "/?server=pbx-ber-01": partial,
		"/?view=calls": "pbx-ber-01: " + partial + " pbx-muc-02: its calls are not known since 02:47:14, and not shown.",
	} {
		if said := textOf(get(t, served(w, nil), path).Body.String()); !strings.Contains(said, want) {
			t.Errorf("%s does not say %q: %s", path, want, said)
		}
	}
}

// The page of a server has its queues, and no other's.
func TestPage_QueuesOfAServer(t *testing.T) {
	t.Parallel()
	for server, want := range map[string][2]string{"pbx-ber-01": {"support-de over 3 min 5 4:12", "service-muc"}, "pbx-muc-02": {"service-muc as of 02:47:14", "support-de"}} {
		said := textOf(get(t, served(withFloor(), nil), "/?server="+server).Body.String())
		if !strings.Contains(said, want[0]) || strings.Contains(said, want[1]) {
			t.Errorf("%s, which has %s: %s", server, want[0], said)
		}
	}
}

// The page of a server shows how long Actions took in the last ten minutes, if there were any.
func TestPage_P95OfTenMinutes(t *testing.T) {
	t.Parallel()
	w := allWell()
	w.acted("pbx-ber-01", 999, 250, nil)
	w.pass(10 * time.Second)
	w.acted("pbx-ber-01", 1000, 4, nil)
	page := get(t, served(w, nil), "/?server=pbx-ber-01").Body.String()
	if said := textOf(page); !strings.Contains(said, "Actions p95 10 min, most 250 ms") || !strings.Contains(page, "in the last 10 minutes, 250 ms at most") {
		t.Errorf("with Actions: %s", said)
	}
	if said := textOf(get(t, served(tenMinutes((*world).flowWell), nil), "/?server=pbx-ber-01").Body.String()); strings.Contains(said, "Actions p95") {
		t.Errorf("without any: %s", said)
	}
}

// At a loopback address only this machine's names are answered; elsewhere all are.
func TestGuard(t *testing.T) {
	t.Parallel()
	answered := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	for addr, hosts := range map[string]map[string]bool{
		"127.0.0.1": {"localhost": true, "127.0.0.1:1": true, "[::1]:1": true, "127.0.0.5": false, "evil.example": false, "": false},
		"127.0.0.5": {"127.0.0.5:1": true, "127.0.0.6": false, "localhost": true},
		"::1":       {"[::1]": true, "localhost:1": true, "[::2]": false},
		"10.0.0.1":  {"evil.example": true, "": true},
		"0.0.0.0":   {"evil.example": true},
	} {
		h := Guard(&net.TCPAddr{IP: net.ParseIP(addr), Port: 9108}, answered)
		for host, want := range hosts {
			got := get(t, h, "/", func(r *http.Request) { r.Host = host }).Code
			if (got == http.StatusOK) != want || !want && got != http.StatusMisdirectedRequest {
				t.Errorf("at %s for %q: %d", addr, host, got)
			}
		}
	}
}
