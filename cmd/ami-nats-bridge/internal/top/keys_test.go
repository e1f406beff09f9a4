package top

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// after is ui after keys, with blanks between them.
func after(snap *view.Snapshot, ui UI, keys string) UI {
	for key := range strings.FieldsSeq(keys) {
		ui, _ = Press(ui, snap, key)
	}
	return ui
}

func TestPress(t *testing.T) {
	t.Parallel()
	snap, onFloor := ill(), floor()
	for name, c := range map[string]struct {
		snap *view.Snapshot
		from UI
		keys string
		want UI
	}{
		"down":                    {snap, UI{}, "j", UI{Selected: "pbx-muc-02"}},
		"down and up":             {snap, UI{}, "down down up", UI{Selected: "pbx-muc-02"}},
		"beyond the end":          {snap, UI{}, "G j j", UI{Selected: "pbx-stg-01"}},
		"beyond the begin":        {snap, UI{Selected: "pbx-stg-01"}, "g k", UI{Selected: "pbx-ber-03"}},
		"a server that has gone":  {snap, UI{Selected: "gone"}, "j", UI{Selected: "pbx-muc-02"}},
		"open the first":          {snap, UI{}, "enter", UI{Page: PageServer, Selected: "pbx-ber-03"}},
		"next server":             {snap, UI{}, "enter j", UI{Page: PageServer, Selected: "pbx-muc-02"}},
		"calls, and back twice":   {snap, UI{}, "c esc esc", UI{Selected: "pbx-ber-03"}},
		"events, of the first":    {snap, UI{}, "e esc", UI{Page: PageServer, Selected: "pbx-ber-03"}},
		"events, filtered":        {snap, UI{Selected: "pbx-stg-01"}, "enter e / H * enter", UI{Page: PageEvents, Selected: "pbx-stg-01", EventFilter: "H*"}},
		"gaps":                    {snap, UI{Selected: "pbx-stg-01"}, "enter g", UI{Page: PageGaps, Selected: "pbx-stg-01"}},
		"gaps do not scroll away": {snap, UI{Page: PageGaps, Selected: "pbx-stg-01"}, "j j j", UI{Page: PageGaps, Selected: "pbx-stg-01"}},
		"floor":                   {onFloor, UI{}, "f j j", UI{Page: PageFloor, Queue: 2}},
		"floor and back":          {onFloor, UI{}, "tab tab", UI{}},
		"agents only":             {onFloor, UI{}, "f a", UI{Page: PageFloor, Agents: true}},
		"callers":                 {onFloor, UI{}, "f enter", UI{Page: PageFloor, Callers: true}},
		"callers, and back":       {onFloor, UI{}, "f enter esc", UI{Page: PageFloor}},
		"no floor":                {well(map[string]uint64{"a": 1}), UI{}, "f j", UI{Page: PageFloor}},
		"find":                    {snap, UI{}, "/ b q ?", UI{Filter: "bq?", Typing: true}},
		"find, a wide letter":     {snap, UI{}, "/ é 東 backspace enter", UI{Filter: "é"}},
		"find, given up":          {snap, UI{}, "/ b esc", UI{}},
		"nothing to take away":    {snap, UI{}, "/ backspace backspace", UI{Typing: true}},
		"a key that is no letter": {snap, UI{}, "/ pgup f5 ctrl+a", UI{Typing: true}},
		"found, and all again":    {snap, UI{}, "/ b enter i esc", UI{}},
		"ill only":                {snap, UI{}, "i G", UI{IllOnly: true, Selected: "pbx-ham-01"}},
		"sort":                    {snap, UI{}, "s S", UI{Sort: SortEvents, Turned: true}},
		"sort, once round":        {snap, UI{Turned: true}, "s s s s s", UI{}},
		"stop":                    {snap, UI{}, "space", UI{Paused: true}},
		"go on":                   {snap, UI{Paused: true}, "space", UI{}},
		"times":                   {snap, UI{}, "z z", UI{Times: TimesUTC}},
		"times, once round":       {snap, UI{}, "z z z", UI{}},
		"keys":                    {snap, UI{}, "? esc", UI{}},
		"nothing there":           {view.New(view.Options{}).Snapshot(night, view.NumbersNone), UI{}, "j k enter c g G s i", UI{Sort: SortEvents, IllOnly: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := after(c.snap, c.from, c.keys)
			if name == "floor" && c.snap.Floor == nil {
				t.Fatal("the picture has no floor")
			}
			if !sameUI(got, c.want) {
				t.Errorf("%s: got %+v, want %+v", c.keys, got, c.want)
			}
		})
	}
}

func sameUI(a, b UI) bool {
	a.Calls, b.Calls = nil, nil
	return a.Page == b.Page && a.Selected == b.Selected && a.Queue == b.Queue && a.Filter == b.Filter && a.Typing == b.Typing && a.IllOnly == b.IllOnly &&
		a.Sort == b.Sort && a.Turned == b.Turned && a.Paused == b.Paused && a.Agents == b.Agents && a.Callers == b.Callers && a.Scroll == b.Scroll && a.Times == b.Times
}

// Ill servers stay on top, whatever the others are sorted by.
func TestVisible_IllFirst(t *testing.T) {
	t.Parallel()
	snap := ill()
	for sort, want := range map[Sort]string{SortName: "pbx-ber-01", SortEvents: "pbx-ber-01", SortOutbox: "pbx-ber-01", SortCalls: "pbx-stg-01", SortWaiting: "pbx-ber-01"} {
		for _, turned := range []bool{false, true} {
			all := Visible(snap, &UI{Sort: sort, Turned: turned})
			if all[0].Name != "pbx-ber-03" || all[1].Name != "pbx-muc-02" || all[2].Name != "pbx-ham-01" {
				t.Errorf("by %v, turned %v: %s, %s, %s are on top", sort, turned, all[0].Name, all[1].Name, all[2].Name)
			}
			if !turned && all[3].Name != want {
				t.Errorf("by %v: %s is the first of the well ones, want %s", sort, all[3].Name, want)
			}
		}
	}
	if all := Visible(snap, &UI{Sort: SortName, Turned: true}); all[3].Name != "pbx-stg-01" {
		t.Errorf("by name, turned: %s is the first of the well ones", all[3].Name)
	}
}

// fed is a Feed that shows what it is told to.
type fed struct {
	snap    *view.Snapshot
	asked   int
	retried int
	taps    []string
}

func (f *fed) Picture(time.Time) (*view.Snapshot, Source) { f.asked++; return f.snap, Source{} }
func (f *fed) Calls(string) ([]view.Call, int)            { return []view.Call{{Caller: "4711"}}, 1 }
func (f *fed) Tap(server, filter string)                  { f.taps = append(f.taps, server+" "+filter) }
func (f *fed) Events() Tapped {
	return Tapped{Subject: "ami.events.x.*", Seen: 1, Of: 7, Events: []Event{{At: night, Name: "Hangup", Says: "Cause=16", Fields: []Field{{"Cause", "16"}, {"Channel", "PJSIP/1"}}}}}
}
func (f *fed) Retry() { f.retried++ }

// The program paints what its feed shows, asks it once a second unless it is stopped,
// and does what the keys ask for.
func TestScreen(t *testing.T) {
	t.Parallel()
	f := &fed{snap: ill()}
	var written string
	var writeErr error
	s := NewScreen(f, colour, func() time.Time { return night }, func(text string, _ time.Time) (string, error) {
		written = text
		return "top.txt", writeErr
	})
	press := func(key rune, text string) tea.Cmd {
		_, cmd := s.Update(tea.KeyPressMsg{Code: key, Text: text})
		return cmd
	}
	screen := func() string { return sgr.ReplaceAllString(s.View().Content, "") }
	s.Update(tea.WindowSizeMsg{Width: 100, Height: 30})
	isScreen(t, s.View().Content+"\n", 100, 30, colour)
	if v := s.View(); !v.AltScreen || v.WindowTitle != "▼ 3 of 12 servers are ill · ami-nats-bridge" {
		t.Errorf("the view is %+v", v)
	}
	f.snap = well(twelve)
	press(' ', " ")
	s.Update(tick{})
	if !strings.Contains(screen(), "3 of 12 servers are ill") {
		t.Errorf("a stopped screen goes on:\n%s", screen())
	}
	press(' ', " ")
	s.Update(tick{})
	if !strings.Contains(screen(), "All 12 servers are well") {
		t.Errorf("it does not go on:\n%s", screen())
	}
	press('c', "c")
	if !strings.Contains(screen(), "4711") {
		t.Errorf("no calls:\n%s", screen())
	}
	press('w', "w")
	if !strings.Contains(screen(), "written to top.txt") || !strings.Contains(written, "4711") || strings.Contains(written, "\x1b") {
		t.Errorf("it wrote %q, and says:\n%s", written, screen())
	}
	writeErr = errors.New("no space")
	press('w', "w")
	if !strings.Contains(screen(), "not written: no space") {
		t.Errorf("it says:\n%s", screen())
	}
	if cmd := press('y', "y"); cmd == nil || !strings.Contains(screen(), "copied") {
		t.Errorf("it copies nothing, or says nothing:\n%s", screen())
	}
	press('r', "r")
	if f.retried != 1 {
		t.Error("nothing was tried again")
	}
	s.Update(tea.ColorProfileMsg{Profile: colorprofile.ASCII})
	if strings.Contains(s.View().Content, "\x1b") {
		t.Error("there are colours where there can be none")
	}
	_, stopped := s.Update(tea.KeyPressMsg{Code: 'z', Mod: tea.ModCtrl})
	if stopped == nil {
		t.Fatal("Ctrl-Z does not stop it")
	}
	if _, ok := stopped().(tea.SuspendMsg); !ok {
		t.Error("Ctrl-Z does not stop it")
	}
	s.Update(tea.KeyPressMsg{Code: tea.KeyEscape})
	s.Update(tea.KeyPressMsg{Code: tea.KeyEscape})
	f.snap = ill()
	s.Update(tea.ResumeMsg{})
	if !strings.Contains(screen(), "3 of 12 servers are ill") {
		t.Errorf("when it goes on it shows what was before:\n%s", screen())
	}
	cmd := press('q', "q")
	if cmd == nil {
		t.Fatal("q does not end it")
	}
	if _, ok := cmd().(tea.QuitMsg); !ok {
		t.Error("q does not end it")
	}
}
