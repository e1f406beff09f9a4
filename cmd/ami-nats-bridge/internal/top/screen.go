package top

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// Feed is where the pictures come from.
type Feed interface {
	// Picture returns how all is at the time now, and where that is from. It does not wait.
	Picture(now time.Time) (*view.Snapshot, Source)
	// Calls returns the calls that are up at a server, and how many there are.
	Calls(server string) ([]view.Call, int)
	// Tap has the events of a server looked at through a filter; of none, if server is empty.
	Tap(server, filter string)
	// Events returns those that have come since.
	Events() Tapped
	// Retry has what does not answer be tried at once.
	Retry()
}

// Screen is the program: its keys choose, and it paints once a second.
type Screen struct {
	feed    Feed
	write   func(text string, now time.Time) (file string, err error)
	profile Profile
	clock   func() time.Time

	ui     UI
	tapped [2]string // server and filter of the events that are looked at
	snap   *view.Snapshot
	w, h   int
}

// NewScreen returns a Screen. write keeps a screen's text in a file, of which it returns
// the name.
func NewScreen(feed Feed, p Profile, clock func() time.Time, write func(string, time.Time) (string, error)) *Screen {
	s := &Screen{feed: feed, write: write, profile: p, clock: clock, w: 80, h: 24}
	s.look()
	return s
}

// tick tells of the time.
type tick struct{}

// every is how often the screen is painted anew.
const every = time.Second

// Run shows the screen until the user has seen enough, or ctx ends.
func (s *Screen) Run(ctx context.Context, options ...tea.ProgramOption) error {
	program := tea.NewProgram(s, append([]tea.ProgramOption{tea.WithContext(ctx), tea.WithoutSignalHandler()}, options...)...)
	ticking, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticking.Done():
				return
			case <-ticker.C:
				program.Send(tick{})
			}
		}
	})
	_, err := program.Run()
	cancel()
	group.Wait()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("show the screen: %w", err)
	}
	return nil
}

// Init implements tea.Model.
func (*Screen) Init() tea.Cmd { return nil }

// look takes the picture of now, unless the user has stopped it.
func (s *Screen) look() {
	now := s.clock()
	s.ui.Now = now
	if s.ui.Paused && s.snap != nil {
		return
	}
	s.snap, s.ui.Source = s.feed.Picture(now)
	if s.ui.Page == PageEvents {
		s.ui.Events = s.feed.Events()
	}
	if s.ui.Page == PageCalls {
		s.ui.Calls, s.ui.CallsOf = s.feed.Calls(s.ui.Selected)
	}
}

// Update implements tea.Model.
func (s *Screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tick, tea.ResumeMsg:
		s.look()
	case tea.WindowSizeMsg:
		s.w, s.h = msg.Width, msg.Height
	case tea.ColorProfileMsg:
		s.profile.Colour = s.profile.Colour && msg.Profile > colorprofile.ASCII
	case tea.KeyPressMsg:
		return s.press(msg.String())
	}
	return s, nil
}

func (s *Screen) press(key string) (tea.Model, tea.Cmd) {
	page := s.ui.Page
	ui, do := Press(s.ui, s.snap, key)
	s.ui = ui
	switch do {
	case DoQuit:
		return s, tea.Quit
	case DoCopy:
		text := Text(s.snap, s.ui, s.w, s.h, s.profile)
		s.ui.Note = "copied, if the terminal lets programs do so (OSC 52)"
		return s, tea.SetClipboard(text)
	case DoWrite:
		file, err := s.write(Text(s.snap, s.ui, s.w, s.h, s.profile), s.clock())
		s.ui.Note = "written to " + file
		if err != nil {
			s.ui.Note = "not written: " + err.Error()
		}
	case DoSuspend:
		return s, tea.Suspend
	case DoRetry:
		s.feed.Retry()
	}
	s.tap()
	if s.ui.Page != page {
		s.look()
	}
	return s, nil
}

// tap has those events looked at that the page is of, if it is of any.
func (s *Screen) tap() {
	var want [2]string
	if s.ui.Page == PageEvents {
		if want = [2]string{s.ui.Selected, s.ui.EventFilter}; s.ui.Typing {
			want[1] = s.tapped[1] // until it is whole
		}
	}
	if want == s.tapped {
		return
	}
	s.tapped = want
	s.feed.Tap(want[0], want[1])
	if s.ui.Events = (Tapped{}); want[0] != "" {
		s.ui.Scroll, s.ui.Events = 0, s.feed.Events()
	}
}

// View implements tea.Model.
func (s *Screen) View() tea.View {
	v := tea.NewView(Render(s.snap, s.ui, s.w, s.h, s.profile))
	v.AltScreen = true
	sign, _ := s.profile.sign(s.snap.Headline.State)
	v.WindowTitle = sign + " " + s.profile.text(view.Clean(s.snap.Headline.Text)) + " · ami-nats-bridge"
	return v
}
