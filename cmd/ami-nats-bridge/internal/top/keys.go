package top

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// Do is what a key asks for beyond another picture.
type Do uint8

// What a key may ask for.
const (
	DoNothing Do = iota
	DoQuit
	DoCopy
	DoWrite
	DoRetry
	DoSuspend
)

// longestFilter bounds what may be typed.
const longestFilter = 64

// Press is ui after a key, by bubbletea's name for it, was pressed while snap was shown.
func Press(ui UI, snap *view.Snapshot, key string) (UI, Do) {
	ui.Note = ""
	switch key {
	case "ctrl+c":
		return ui, DoQuit
	case "ctrl+z":
		return ui, DoSuspend
	}
	if ui.Typing {
		ui.typed(key)
		return ui, DoNothing
	}
	switch key {
	case "q":
		return ui, DoQuit
	case "y":
		return ui, DoCopy
	case "w":
		return ui, DoWrite
	case "r":
		return ui, DoRetry
	case "?":
		ui.Page = PageKeys
	case "space", " ":
		ui.Paused = !ui.Paused
	case "z":
		ui.Times = (ui.Times + 1) % (TimesUTC + 1)
	case "tab", "f":
		ui.otherSide()
	case "esc", "h", "left", "backspace":
		ui.back()
	case "up", "k":
		ui.move(snap, -1)
	case "down", "j":
		ui.move(snap, 1)
	case "pgup":
		ui.move(snap, -10)
	case "pgdown":
		ui.move(snap, 10)
	case "home":
		ui.move(snap, -1<<20)
	case "end", "G":
		ui.move(snap, 1<<20)
	default:
		ui.pressOn(snap, key)
	}
	return ui, DoNothing
}

// pressOn is a key that does not mean the same on each page.
func (ui *UI) pressOn(snap *view.Snapshot, key string) {
	switch {
	case ui.Page == PageServers:
		ui.pressServers(snap, key)
	case ui.Page == PageFloor && key == "a":
		ui.Agents, ui.Callers = !ui.Agents, false
	case ui.Page == PageFloor && (key == "enter" || key == "l" || key == "right"):
		ui.Agents, ui.Callers = false, !ui.Callers
	case ui.Page == PageServer && key == "c":
		ui.open(PageCalls)
	case ui.Page == PageServer && key == "e":
		ui.open(PageEvents)
	case ui.Page == PageEvents && key == "/":
		ui.Typing = true
	case ui.Page == PageServer && (key == "g" || key == "enter" || key == "l"):
		ui.open(PageGaps)
	case key == "g":
		ui.move(snap, -1<<20)
	}
}

func (ui *UI) pressServers(snap *view.Snapshot, key string) {
	switch key {
	case "enter", "l", "right":
		ui.choose(snap, PageServer)
	case "c":
		ui.choose(snap, PageCalls)
	case "e":
		ui.choose(snap, PageEvents)
	case "g":
		ui.move(snap, -1<<20)
	case "/":
		ui.Typing = true
	case "s":
		ui.Sort, ui.Turned = (ui.Sort+1)%sorts, false
	case "S":
		ui.Turned = !ui.Turned
	case "i":
		ui.IllOnly = !ui.IllOnly
	}
}

// choose opens a page of the chosen server, or of the first.
func (ui *UI) choose(snap *view.Snapshot, page Page) {
	if all := Visible(snap, ui); len(all) > 0 {
		ui.Selected = chosen(all, ui.Selected).Name
		ui.open(page)
	}
}

func (ui *UI) open(page Page) { ui.Page, ui.Scroll = page, 0 }

// otherSide goes from servers to the floor, and back.
func (ui *UI) otherSide() {
	if ui.Page == PageFloor {
		ui.open(PageServers)
		return
	}
	ui.open(PageFloor)
}

// back goes to where one came from; on the list it clears what hides servers.
func (ui *UI) back() {
	switch {
	case ui.Page == PageServers:
		ui.Filter, ui.IllOnly = "", false
	case ui.Page == PageCalls, ui.Page == PageGaps, ui.Page == PageEvents:
		ui.open(PageServer)
	case ui.Page == PageFloor && (ui.Callers || ui.Agents):
		ui.Callers, ui.Agents = false, false
	default:
		ui.open(PageServers)
	}
}

// move chooses another server or queue, or scrolls.
func (ui *UI) move(snap *view.Snapshot, by int) {
	switch ui.Page {
	case PageServers, PageServer:
		all := Visible(snap, ui)
		if len(all) == 0 {
			return
		}
		i := max(0, slices.IndexFunc(all, func(s *view.Server) bool { return s.Name == ui.Selected }))
		ui.Selected = all[min(max(i+by, 0), len(all)-1)].Name
	case PageFloor:
		if snap.Floor != nil {
			ui.Queue = min(max(ui.Queue+by, 0), max(0, len(snap.Floor.Queues)-1))
		}
	case PageCalls:
		ui.Scroll = min(max(ui.Scroll+by, 0), max(0, len(ui.Calls)-1))
	case PageEvents:
		ui.Scroll = min(max(ui.Scroll+by, 0), max(0, len(ui.Events.Events)-1))
	case PageGaps:
		last := 0
		if s := snap.Server(ui.Selected); s != nil {
			last = max(0, len(s.Gaps)-1)
		}
		ui.Scroll = min(max(ui.Scroll+by, 0), last)
	}
}

// typed is a key while the filter is being typed.
func (ui *UI) typed(key string) {
	text := &ui.Filter
	if ui.Page == PageEvents {
		text = &ui.EventFilter
	}
	switch key {
	case "enter":
		ui.Typing = false
	case "esc":
		ui.Typing, *text = false, ""
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(*text)
		*text = (*text)[:len(*text)-n]
	case "space":
		*text += " "
	default:
		if r, n := utf8.DecodeRuneInString(key); n == len(key) && unicode.IsPrint(r) && len(*text)+n <= longestFilter {
			*text += key
		}
	}
}
