package correlation

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

const pieceLimit = 16 << 10

// deliverPieces delivers wire as a session does: what is over the limit in pieces,
// if the Table says that it is a stream.
func (d *desk) deliverPieces(session, wire string) (pieces int) {
	d.t.Helper()
	r := frames.NewReader(strings.NewReader(strings.ReplaceAll(wire, "\n", "\r\n")), pieceLimit)
	r.Split(func(head *frames.Frame) bool { return d.Streams(session, head) })
	for {
		f, err := r.Next()
		if err != nil && !errors.Is(err, frames.ErrFrameTooLarge) {
			return pieces
		}
		if f.More || f.Continues {
			pieces++
		}
		if !d.Deliver(session, f) {
			d.t.Errorf("not consumed: %q", f.Name())
		}
	}
}

func longOutput(response string, lines int) (wire string) {
	var s strings.Builder
	s.WriteString("Response: " + response + "\nActionID: a\nMessage: Command output follows\n")
	for i := range lines {
		fmt.Fprintf(&s, "Output: line %d: a: b\n", i)
	}
	return s.String() + "\n"
}

func TestStream_OutputOverTheFrameLimitComesInPieces(t *testing.T) {
	const lines = 20_000
	old := strings.NewReplacer("Output: ", "", "Response: Success", "Response: Follows\nPrivilege: Command").Replace(longOutput("Success", lines))
	old = strings.TrimSuffix(old, "\n") + "--END COMMAND--\n\n"
	for name, tc := range map[string]struct {
		wire string
		want Outcome
	}{
		"success": {longOutput("Success", lines), Answered},
		"error":   {longOutput("Error", lines), AsteriskError},
		"follows": {old, Answered},
		"proxied": {"Server: x\n" + longOutput("Success", lines), Answered},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, Limits{Pending: 10, ReplyBytes: 128 << 10, TotalBytes: 256 << 10})
			next, most := 0, 0
			d.start(Call{ActionID: "a", Action: "Command", Part: func(p Part) bool {
				var block []string
				if err := json.Unmarshal([]byte("["+string(p.Output)+"]"), &block); err != nil || len(block) != p.OutputLines {
					t.Fatalf("block of %d lines: %v", p.OutputLines, err)
				}
				for _, line := range block {
					if want := fmt.Sprintf("line %d: a: b", next); line != want {
						t.Fatalf("%q, want %q", line, want)
					}
					next++
				}
				most = max(most, d.Stats().Bytes)
				return true
			}})
			d.start(Call{ActionID: "b", Action: "Ping"})
			pieces := d.deliverPieces(actions, tc.wire+strings.Replace(ack, ": a", ": b", 1))
			r := d.mustEnd("a", tc.want, SentYes)
			if next != lines || r.OutputLines != lines || r.Parts < lines/partLines || pieces < len(tc.wire)/pieceLimit/2 {
				t.Errorf("%d lines in %d parts, %d pieces: %+v", next, r.Parts, pieces, r)
			}
			if most > 128<<10 || strings.Contains(string(r.Fields), "line") || r.Message == "" && name != "follows" {
				t.Errorf("%d bytes were held; fields %s", most, r.Fields)
			}
			d.mustEnd("b", Answered, SentYes)
			if s := d.Stats(); s.Late != 0 || s.Unmatched != 0 || len(d.long) != 0 {
				t.Errorf("%+v, %d long", s, len(d.long))
			}
		})
	}
}

// The first thing that spoils a reply is what its caller is told.
func TestLimits_TheFirstCauseStays(t *testing.T) {
	d := newDesk(t, Limits{Pending: 10, ReplyBytes: 4 << 10, TotalBytes: 1 << 20})
	d.start(Call{ActionID: "a", Action: "QueueStatus"})
	wire := func(n int) string { return "Event: QueueMember\nActionID: a\nX: " + strings.Repeat("x", n) + "\n\n" }
	d.deliverPieces(actions, listStart+wire(5<<10)+wire(2*pieceLimit)+item("QueueStatusComplete"))
	if r := d.mustEnd("a", TooLarge, SentYes); !errors.Is(r.Cause, ErrReplyFull) {
		t.Errorf("cause %v", r.Cause)
	}
	l := Limits{Pending: 10, ReplyBytes: 8 << 10, TotalBytes: 8 << 10}
	d = newDesk(t, l)
	for _, id := range []string{"a", "b"} {
		d.start(Call{ActionID: id, Action: "Getvar"})
		d.play(actions, as(id, strings.Replace(ack, "ok", strings.Repeat("x", 3<<10), 1)))
	}
	if r := d.mustEnd("b", TooLarge, SentYes); !errors.Is(r.Cause, ErrTableFull) {
		t.Errorf("cause %v", r.Cause)
	}
}

func TestStream_PiecesThatCannotBeHandedOutSpoilIt(t *testing.T) {
	long := longOutput("Success", 5000)
	line := "Output: " + strings.Repeat("x", 2*pieceLimit) + "\n"
	for name, tc := range map[string]struct {
		action, wire string
		stream       bool
		takes        int
		want         error
	}{
		"a plain request":       {"Command", long, false, 0, frames.ErrFrameTooLarge},
		"a line over the limit": {"Command", strings.TrimSuffix(long, "\n") + line + "\n", true, 0, frames.ErrFrameTooLarge},
		"of no Command":         {"GetConfig", strings.ReplaceAll(long, "Output: line ", "Line-"), true, 0, frames.ErrFrameTooLarge},
		"headers behind":        {"Command", strings.TrimSuffix(long, "\n") + "Other: x\n\n", true, 0, ErrReplyFull},
		"not taken":             {"Command", long, true, 3, ErrPartRefused},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			part, got := collect(tc.takes)
			call := Call{ActionID: "a", Action: tc.action}
			if tc.stream {
				call.Part = part
			}
			d.start(call)
			d.start(Call{ActionID: "b", Action: "Ping"})
			d.deliverPieces(actions, tc.wire+strings.Replace(ack, ": a", ": b", 1))
			if r := d.mustEnd("a", TooLarge, SentYes); !errors.Is(r.Cause, tc.want) || r.Parts > len(*got) || tc.takes > 0 && (r.Parts != tc.takes || len(*got) != tc.takes+1) {
				t.Errorf("asked %d times, %d parts, cause %v; want %v", len(*got), r.Parts, r.Cause, tc.want)
			}
			d.mustEnd("b", Answered, SentYes)
		})
	}
}

// What still comes of a Response whose Call has ended is nobody's.
func TestStream_PiecesOfACallThatHasEnded(t *testing.T) {
	for name, end := range map[string]func(*desk){
		"timeout":      func(*desk) { time.Sleep(time.Second); synctest.Wait() },
		"session lost": func(d *desk) { d.FailSession(actions, errGone) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, roomy)
				part, got := collect(0)
				d.start(Call{ActionID: "a", Action: "Command", Timeout: time.Second, Part: part})
				r := frames.NewReader(strings.NewReader(strings.ReplaceAll(longOutput("Success", 5000), "\n", "\r\n")), pieceLimit)
				r.Split(func(head *frames.Frame) bool { return d.Streams(actions, head) })
				for i := 0; ; i++ {
					f, err := r.Next()
					if err != nil {
						break
					}
					d.Deliver(actions, f)
					if i == 0 {
						d.mustPend("a")
						end(d)
						if left := len(d.long); name == "session lost" && left > 0 {
							t.Errorf("%d are remembered of a session that has ended", left)
						}
					}
				}
				if result := d.result("a"); result == nil || result.Outcome == Answered || result.Parts != len(*got) || len(*got) == 0 {
					t.Errorf("%d parts, %+v", len(*got), result)
				}
				if len(d.long) != 0 {
					t.Error("it is remembered")
				}
			})
		})
	}
}

// Output of any length needs the memory of the limit.
func TestStream_OutputOfAnyLengthNeedsFlatMemory(t *testing.T) {
	d := newDesk(t, roomy)
	lines := 0
	d.start(Call{ActionID: "a", Action: "Command", Part: func(p Part) bool { lines += p.OutputLines; return true }})
	const n = 2_000_000
	src := &endlessOutput{left: n}
	r := frames.NewReader(src, 1<<20)
	r.Split(func(head *frames.Frame) bool { return d.Streams(actions, head) })
	var most uint64
	for i := 0; ; i++ {
		f, err := r.Next()
		if err != nil {
			break
		}
		d.Deliver(actions, f)
		if i%20 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	r2 := d.mustEnd("a", Answered, SentYes)
	if lines != n || r2.OutputLines != n || most > 64<<20 {
		t.Errorf("%d lines of %d, %d MiB on the heap", lines, n, most>>20)
	}
}

// endlessOutput writes a Command's Response of so many lines.
type endlessOutput struct {
	left  int
	began bool
	rest  string
}

func (e *endlessOutput) Read(p []byte) (int, error) {
	switch {
	case e.rest != "":
	case !e.began:
		e.began, e.rest = true, "Response: Success\r\nActionID: a\r\nMessage: Command output follows\r\n"
	case e.left > 0:
		lines := min(e.left, 1000)
		e.left -= lines
		e.rest = strings.Repeat("Output: 'extension' => 1. NoOp(x)  [pbx_config]\r\n", lines)
		if e.left == 0 {
			e.rest += "\r\n"
		}
	default:
		return 0, errGone
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}
