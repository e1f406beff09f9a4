package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/tap"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// seen is what a page has been told of events.
type seen struct {
	mu     sync.Mutex
	lines  []tapLine
	missed int
}

// read takes all that comes.
func (s *seen) read(lines *bufio.Scanner) {
	event := ""
	for lines.Scan() {
		kind, text, _ := strings.Cut(lines.Text(), ": ")
		s.mu.Lock()
		switch {
		case kind == "event":
			event = text
		case kind == "data" && event == "lines":
			var more []tapLine
			_ = json.Unmarshal([]byte(text), &more)
			s.lines = append(s.lines, more...)
		case kind == "data" && event == "missed":
			n := 0
			_, _ = fmt.Sscan(text, &n)
			s.missed += n
		}
		s.mu.Unlock()
	}
}

// names are those of the events.
func (s *seen) names() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		all = append(all, l.Name)
	}
	return all
}

// tapOf opens the events of pbx-ber-01.
func (p *pipes) tapOf(t *testing.T, events, grep string) (*seen, net.Conn) {
	t.Helper()
	conn, lines := p.open(t, "/tap?"+eventsQuery("pbx-ber-01", events, grep))
	s := new(seen)
	go s.read(lines)
	return s, conn
}

// pass has time go by, and all that is due be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Events are shown as they come, once, filtered as tail filters them; a Gap is seen whatever is looked
// for. What comes before a page is open, or after, or of another server, is not there.
func TestTap_Filters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := allWell()
		p := bubble(t, served(w, nil))
		w.happens("Hangup", fields{"Cause": "1"})
		all, c1 := p.tapOf(t, "", "")
		queues, c2 := p.tapOf(t, "Queue*, Dial*", "")
		causes, c3 := p.tapOf(t, "", "Cause=(34|38)$")
		same, c4 := p.tapOf(t, "", "Cause=(34|38)$")
		other, lines := p.open(t, "/tap?server=pbx-ber-02")
		elsewhere := new(seen)
		go elsewhere.read(lines)
		pass(time.Second)
		w.happens("Hangup", fields{"Event": "Hangup", "Channel": "PJSIP/a-1", "Cause": "34", "Cause-txt": "Congestion"})
		w.happens("QueueCallerJoin", fields{"Event": "QueueCallerJoin", "Queue": "sales", "Position": "2"})
		w.happens("Gap", fields{"Event": "Gap", "Reason": "overflow", "Lost": "7"})
		pass(time.Second)
		w.happens("DialEnd", fields{"Event": "DialEnd", "DialStatus": "BUSY"})
		pass(time.Second)
		for name, test := range map[string]struct {
			of   *seen
			want string
		}{
			"all": {all, "[Hangup QueueCallerJoin Gap DialEnd]"}, "by name": {queues, "[QueueCallerJoin Gap DialEnd]"},
			"by text": {causes, "[Hangup Gap]"}, "the same again": {same, "[Hangup Gap]"}, "elsewhere": {elsewhere, "[]"},
		} {
			if got := fmt.Sprint(test.of.names()); got != test.want || test.of.missed != 0 {
				t.Errorf("%s: %s, %d missed, want %s", name, got, test.of.missed, test.want)
			}
		}
		if l := all.lines; l[0].Says != `Channel=PJSIP/a-1 Cause=34 Cause-txt=Congestion` || l[0].At != "03:03:14.000" || l[0].Gap || !l[2].Gap {
			t.Errorf("%+v", l)
		}
		for _, c := range []net.Conn{c1, c2, c3, c4, other} {
			c.Close()
		}
		pass(quietFor + time.Second)
		if w.happens("Hangup", nil); w.tap("pbx-ber-01").IsOpen() {
			t.Error("nobody looks, and events are kept")
		}
	})
}

// Of callers' numbers a page's events show what the page does, and what is not shown is not found by looking
// for it.
func TestTap_Numbers(t *testing.T) {
	t.Parallel()
	for numbers, want := range map[view.Numbers]string{view.NumbersFull: "+49305550145", view.NumbersLast4: "+…0145"} {
		synctest.Test(t, func(t *testing.T) {
			w := allWell()
			p := bubble(t, served(w, func(o *Options) { o.Numbers = numbers }))
			all, c1 := p.tapOf(t, "", "")
			guessed, c2 := p.tapOf(t, "", "49305")
			defer c1.Close()
			defer c2.Close()
			pass(time.Second)
			w.happens("Newchannel", fields{"Event": "Newchannel", "Channel": "PJSIP/a", "CallerIDNum": "+49305550145"})
			w.happens("Other", fields{"Event": "Other", "A": []string{"+49305550145", "x"}, "B": map[string]string{"+49305550145": "+49305550145"}})
			pass(time.Second)
			said := fmt.Sprint(all.lines)
			if !strings.Contains(said, "CallerIDNum="+want) || numbers != view.NumbersFull && strings.Contains(said, "4930555") {
				t.Errorf("%s: %s", numbers, said)
			}
			if found := len(guessed.names()); (found == 2) != (numbers == view.NumbersFull) || found == 1 {
				t.Errorf("%s: a guess finds %d", numbers, found)
			}
		})
	}
}

// What a dialplan knows and what somebody types is shown, and found, with all numbers only.
func TestTap_Variables(t *testing.T) {
	t.Parallel()
	for numbers, shown := range map[view.Numbers]bool{view.NumbersFull: true, view.NumbersLast4: false} {
		synctest.Test(t, func(t *testing.T) {
			w := allWell()
			p := bubble(t, served(w, func(o *Options) { o.Numbers = numbers }))
			all, c1 := p.tapOf(t, "", "")
			guessed, c2 := p.tapOf(t, "", "hunter2|=7$")
			defer c1.Close()
			defer c2.Close()
			pass(time.Second)
			w.happens("VarSet", fields{"Event": "VarSet", "Variable": "PIN", "Value": "hunter2"})
			w.happens("DTMFEnd", fields{"Event": "DTMFEnd", "Channel": "PJSIP/a", "Digit": "7"})
			w.happens("Other", fields{"Event": "Other", "ChanVariable(PIN)": []string{"hunter2"}})
			w.happens("Newexten", fields{"Event": "Newexten", "Application": "Set", "AppData": "PIN=hunter2"})
			w.happens("OriginateResponse", fields{"Event": "OriginateResponse", "Application": "Authenticate", "Data": "hunter2"})
			w.happens("AGIExecStart", fields{"Event": "AGIExecStart", "Command": "SET VARIABLE PIN hunter2"})
			w.happens("UserEvent", fields{"Event": "UserEvent", "UserEvent": "Login", "userPin": "hunter2"})
			w.happens("Cdr", fields{"Event": "Cdr", "LastData": "hunter2"})
			w.happens("HangupHandlerRun", fields{"Event": "HangupHandlerRun", "Handler": "bill,s,1(hunter2)"})
			w.happens("AsyncAGIExec", fields{"Event": "AsyncAGIExec", "Result": "200%20result%3D1%20(hunter2)"})
			w.happens("AgentCalled", fields{"Event": "AgentCalled", "Variable": []string{"PIN=hunter2"}})
			w.happens("DialBegin", fields{"Event": "DialBegin", "DialString": "u:hunter2@h/100"})
			w.happens("ContactStatus", fields{"Event": "ContactStatus", "URI": "sip:u:hunter2@h"})
			pass(time.Second)
			said, found := fmt.Sprint(all.lines), len(guessed.names())
			if len(all.lines) != 13 || strings.Contains(said, "hunter2") != shown || strings.Contains(said, "Digit=7") != shown || found != map[bool]int{true: 13, false: 0}[shown] {
				t.Errorf("%s: %s, a guess finds %d", numbers, said, found)
			}
		})
	}
}

// Whoever asks for what there is not, or may not see it, is told why.
func TestTap_Refuses(t *testing.T) {
	t.Parallel()
	w := allWell()
	for path, want := range map[string]int{
		"/tap": http.StatusNotFound, "/tap?server=nobody": http.StatusNotFound, "/tap?server=" + strings.Repeat("x", 99): http.StatusNotFound,
		"/tap?server=pbx-ber-01&events=" + url.QueryEscape("["): http.StatusBadRequest, "/tap?server=pbx-ber-01&grep=" + url.QueryEscape("("): http.StatusBadRequest,
		"/tap?server=pbx-ber-01&grep=" + url.QueryEscape(`(?:.?){1000}$x`): http.StatusBadRequest,
	} {
		if answer := get(t, served(w, nil), path); answer.Code != want {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	const path = "/tap?server=pbx-ber-01"
	for want, change := range map[int]func(*Options){
		http.StatusForbidden:    func(o *Options) { o.Numbers = view.NumbersNone },
		http.StatusUnauthorized: func(o *Options) { o.Password = "x" },
		http.StatusNotFound:     func(o *Options) { o.Off = "off" },
	} {
		if answer := get(t, served(w, change), path); answer.Code != want {
			t.Errorf("%d %s, want %d", answer.Code, answer.Body, want)
		}
	}
	for path, want := range map[string]string{
		"/?view=events&server=nobody": "reads no server of that name", "/?view=events&events=" + url.QueryEscape("["): "is not a pattern of names",
		"/?view=events&grep=" + url.QueryEscape("("): "is not a regular expression", "/?view=events&grep=" + url.QueryEscape("(.{0,30}x){20}"): "takes too long to look for", "/?view=events&events=hangup": "the nearest is Hangup.",
		"/?view=events": "Events of pbx-ber-01",
	} {
		if said := textOf(get(t, served(w, nil), path).Body.String()); !strings.Contains(said, want) {
			t.Errorf("%s does not say %q: %s", path, want, said)
		}
	}
	lost := threeIll()
	said := textOf(get(t, served(lost, func(o *Options) { o.Tap = func(string) *tap.Tap { return new(tap.Tap) } }), "/?view=events&server=pbx-ham-01").Body.String())
	if !strings.Contains(said, "No event comes now: login refused: ") {
		t.Errorf("of a server that lets nobody in: %s", said)
	}
	if said := textOf(get(t, served(w, func(o *Options) { o.Numbers = view.NumbersNone }), "/?view=events").Body.String()); !strings.Contains(said, noTap) {
		t.Errorf("without numbers: %s", said)
	}
}

// A page that is slower than the events misses some, is told how many, and is given up if it does not read at
// all; no other page waits for it.
func TestTap_ASlowPageIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // no look is over its time
		w := allWell()
		s := served(w, nil)
		what, f := tapping{server: "pbx-ber-01", numbers: view.NumbersLast4}, sieve{}
		slow, quick := s.taps.join(what, f), s.taps.join(what, f)
		told := func(l *tapListener) (lines int, missed string) {
			for {
				select {
				case text := <-l.queue:
					if before, rest, found := strings.Cut(string(text), "\n\n"); found && strings.HasPrefix(before, "event: missed\ndata: ") {
						missed, text = missed+strings.TrimPrefix(before, "event: missed\ndata: "), []byte(rest)
					}
					lines += strings.Count(string(text), `"Name"`)
				default:
					return lines, missed
				}
			}
		}
		fast := 0
		for range waiting + 5 {
			w.happens("Hangup", fields{"Cause": "16"})
			w.happens("Newchannel", fields{"Channel": "a"})
			s.taps.tell()
			n, missed := told(quick)
			if fast += n; missed != "" {
				t.Errorf("the quick one misses %s", missed)
			}
		}
		if n, missed := told(slow); fast != 2*(waiting+5) || n != 2*waiting || missed != "" {
			t.Errorf("the quick one has %d, the slow one %d and %q", fast, n, missed)
		}
		s.taps.tell()
		if n, missed := told(slow); n != 0 || missed != "10" {
			t.Errorf("later the slow one has %d and missed %q", n, missed)
		}
		s.taps.leave(what, slow)
		s.taps.leave(what, slow)
		s.taps.leave(what, quick)
		if s.taps.open != 0 || len(s.taps.rooms) != 0 {
			t.Errorf("%d are open in %d rooms", s.taps.open, len(s.taps.rooms))
		}
	})
}

// What takes long to look for is left out, and told, once the time for it is over: after each event, however few
// there are.
func TestTap_ASlowFilterIsBounded(t *testing.T) {
	t.Parallel()
	w := allWell()
	f, err := newSieve("", "(.{0,10}[a-z]{0,10}){10}!")
	if err != nil {
		t.Fatal(err)
	}
	what := tapping{server: "pbx-ber-01", numbers: view.NumbersFull}
	s := served(w, nil)
	s.taps.join(what, f)
	const events = 12
	for range events {
		w.happens("VarSet", fields{"Value": strings.Repeat("abcdefghi=", 900)})
	}
	b := readBatch(w.tap("pbx-ber-01"))
	began := time.Now()
	if _, missed := s.taps.rooms[what].look(b, view.NumbersFull, time.UTC, began.Add(time.Millisecond)); missed == 0 || missed >= events {
		t.Errorf("of %d events it missed %d in %v", events, missed, time.Since(began))
	}
}

// A flood shows the newest of each look, and says how many it has left out, all told.
func TestTap_AFloodIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := allWell()
		p := bubble(t, served(w, nil))
		all, conn := p.tapOf(t, "", "")
		defer conn.Close()
		pass(time.Second)
		const flood = 5000
		for i := range flood {
			w.happens("VarSet", fields{"Variable": "N", "Value": i})
		}
		pass(time.Second)
		if len(all.lines) != tapLines || len(all.lines)+all.missed != flood {
			t.Errorf("%d shown, %d missed", len(all.lines), all.missed)
		}
		w.happens("Hangup", fields{"Cause": "16"})
		pass(time.Second)
		if names := all.names(); names[len(names)-1] != "Hangup" || len(names)+all.missed != flood+1 {
			t.Errorf("behind it: %d shown, %d missed", len(names), all.missed)
		}
	})
}

// The page that is one too many is refused; who may see pages no more sees no more events; a server that went
// and came back goes on being shown.
func TestTap_ComesAndGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := allWell()
		s := served(w, nil)
		p := bubble(t, s)
		var conns []net.Conn
		var pages []*seen
		for range maxTaps {
			page, conn := p.tapOf(t, "", "")
			conns, pages = append(conns, conn), append(pages, page)
		}
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // else it would be open for ever if it were let in
		defer cancel()
		if answer := get(t, s, "/tap?server=pbx-ber-01", func(r *http.Request) { *r = *r.WithContext(ctx) }); answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
			t.Errorf("the next is answered %d", answer.Code)
		}
		w.mu.Lock()
		w.taps["pbx-ber-01"] = new(tap.Tap)
		w.mu.Unlock()
		pass(time.Second)
		w.happens("Hangup", fields{"Cause": "16"})
		pass(time.Minute)
		for i, page := range pages {
			if got := page.names(); !slices.Equal(got, []string{"Hangup"}) {
				t.Fatalf("page %d: %q", i, got)
			}
		}
		s.Admit(Access{Password: "another", Numbers: view.NumbersLast4})
		pass(time.Second)
		if s.taps.open != 0 || w.tap("pbx-ber-01").IsOpen() {
			t.Errorf("%d are open", s.taps.open)
		}
		for _, c := range conns {
			c.Close()
		}
	})
}
