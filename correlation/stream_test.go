package correlation

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// collect returns a Part that takes the first n, all if n is 0, and what it was
// handed out.
func collect(n int) (part func(Part) bool, got *[]string) {
	got = new([]string)
	return func(p Part) bool {
		*got = append(*got, string(p.Event)+string(p.Output))
		return n == 0 || len(*got) <= n
	}, got
}

func TestStream_HandsOutEachEventInOrder(t *testing.T) {
	d := newDesk(t, roomy)
	part, got := collect(0)
	d.start(Call{ActionID: "a", Action: "QueueStatus", Part: part})
	d.play(actions, listStart+item("QueueParams")+"Event: Newexten\nPrivilege: call,all\nActionID: a\n\n"+item("QueueMember")+item("QueueStatusComplete"))
	r := d.mustEnd("a", Answered, SentYes)
	event := func(name string) string { return `{"Event":"` + name + `","ActionID":"a","K":"v"}` }
	if diff := cmp.Diff([]string{event("QueueParams"), event("QueueMember"), event("QueueStatusComplete")}, *got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if r.EventCount != 3 || r.Parts != 3 || r.Events != nil || r.Message != "will follow" {
		t.Errorf("result: %d events, %d parts, %q, %s", r.EventCount, r.Parts, r.Message, r.Events)
	}
	if got := d.Stats().Bytes; got > len(r.Fields)+len(r.Response)+len(r.Message)+64 {
		t.Errorf("%d bytes are held", got)
	}
}

func TestStream_HandsOutOutputInBlocks(t *testing.T) {
	for name, tc := range map[string]struct {
		lines []string
		want  []int // lines of each block
	}{
		"none":              {nil, nil},
		"few":               {slices.Repeat([]string{"x"}, 3), []int{3}},
		"many":              {slices.Repeat([]string{"x"}, 2*partLines+1), []int{partLines, partLines, 1}},
		"exactly":           {slices.Repeat([]string{"x"}, partLines), []int{partLines}},
		"long":              {slices.Repeat([]string{strings.Repeat("x", 20<<10)}, 7), []int{3, 3, 1}},
		"long when quoted":  {slices.Repeat([]string{strings.Repeat("\x01", 10<<10)}, 3), []int{1, 1, 1}},
		"one line too long": {[]string{"x", strings.Repeat("x", 100<<10), "x"}, []int{1, 1, 1}},
	} {
		for _, old := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " old ", old), func(t *testing.T) {
				var blocks []int
				var lines []string
				d := newDesk(t, roomy)
				d.start(Call{ActionID: "a", Action: "Command", Part: func(p Part) bool {
					var block []string
					if err := json.Unmarshal([]byte("["+string(p.Output)+"]"), &block); err != nil || len(block) != p.OutputLines {
						t.Errorf("block of %d lines: %v", p.OutputLines, err)
					}
					if len(block) > 1 && len(p.Output) > partBytes {
						t.Errorf("block of %d bytes", len(p.Output))
					}
					blocks, lines = append(blocks, len(block)), append(lines, block...)
					return true
				}})
				wire := "Response: Success\nActionID: a\n"
				if old {
					wire = "Response: Follows\nPrivilege: Command\nActionID: a\n" + strings.Join(append(tc.lines, ""), "\n") + "--END COMMAND--\n\n"
				} else {
					for _, line := range tc.lines {
						wire += "Output: " + line + "\n"
					}
					wire += "\n"
				}
				d.play(actions, wire)
				r := d.mustEnd("a", Answered, SentYes)
				if !slices.Equal(blocks, tc.want) || !slices.Equal(lines, tc.lines) {
					t.Errorf("blocks of %d lines, want %d; %d lines of %d", blocks, tc.want, len(lines), len(tc.lines))
				}
				if r.OutputLines != len(tc.lines) || r.Parts != len(tc.want) || r.Output != nil || strings.Contains(string(r.Fields), "Output") {
					t.Errorf("result: %d lines, %d parts, fields %s", r.OutputLines, r.Parts, r.Fields)
				}
			})
		}
	}
}

// TestStream_OfAnyLengthNeedsFlatMemory plays a list of 50,000 channels.
func TestStream_OfAnyLengthNeedsFlatMemory(t *testing.T) {
	const channels = 50_000
	tab := NewTable(Limits{Pending: 10, ReplyBytes: 8 << 10, TotalBytes: 8 << 10}, frames.UTF8)
	var result *Result
	events, size := 0, 0
	err := tab.Register(Call{
		ActionID: "a", Action: "CoreShowChannels", Session: actions, Timeout: time.Hour,
		Part: func(p Part) bool { events++; size += len(p.Event); return true },
		Done: func(r *Result) { result = r },
	})
	if err != nil {
		t.Fatal(err)
	}
	tab.Sent("a")
	eachFrame(t, listStart, 1<<20, func(f *frames.Frame) { tab.Deliver(actions, f) })
	f := &frames.Frame{Headers: []frames.Header{
		{Key: []byte("Event"), Value: []byte("CoreShowChannel")}, {Key: []byte("ActionID"), Value: []byte("a")},
		{Key: []byte("Channel"), Value: []byte("PJSIP/zoe-00000001")}, {Key: []byte("ApplicationData"), Value: make([]byte, 500)},
	}}
	tab.Deliver(actions, f) // the buffer of Parts has grown
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	most := 0
	for range channels - 1 {
		if !tab.Deliver(actions, f) {
			t.Fatal("an item was not taken")
		}
		most = max(most, tab.Stats().Bytes)
	}
	runtime.ReadMemStats(&after)
	if perItem := float64(after.Mallocs-before.Mallocs) / channels; perItem > 0.01 {
		t.Errorf("%v allocations an item", perItem)
	}
	if most > 8<<10 {
		t.Errorf("the Table held %d bytes", most)
	}
	eachFrame(t, listEnd, 1<<20, func(f *frames.Frame) { tab.Deliver(actions, f) })
	if result == nil || result.Outcome != Answered || result.EventCount != channels+1 || events != channels+1 {
		t.Fatalf("%d events handed out, result %+v", events, result)
	}
	t.Logf("%d events, %d MB of JSON, at most %d bytes in the Table, %d bytes allocated", events, size>>20, most, after.TotalAlloc-before.TotalAlloc)
	result.Release()
	if s := tab.Stats(); s.Bytes != 0 || s.Held != 0 {
		t.Errorf("left over: %+v", s)
	}
}

func TestStream_CountsItsBufferAndWhatWasNoText(t *testing.T) {
	d := newDesk(t, roomy)
	part, _ := collect(0)
	d.start(Call{ActionID: "a", Action: "QueueStatus", Part: part})
	d.play(actions, listStart+"Event: QueueMember\nActionID: a\nName: \xff"+strings.Repeat("x", 3000)+"\n\n")
	if s := d.Stats(); s.Bytes < 3000 || s.Replaced != 1 {
		t.Errorf("%d bytes are held, %d replaced; want 3000 and more, 1", s.Bytes, s.Replaced)
	}
	d.play(actions, item("QueueStatusComplete"))
	if s := d.Stats(); s.Bytes > 500 {
		t.Errorf("%d bytes are held of a stream that has ended", s.Bytes)
	}
	d.mustEnd("a", Answered, SentYes)
}

func TestStream_GoesOnToItsEndWhenTheReceiverTakesNoMore(t *testing.T) {
	long := "Response: Success\nActionID: a\n" + strings.Repeat("Output: x\n", 3*partLines) + "\n"
	for name, tc := range map[string]struct {
		action, wire      string
		takes             int
		parts, event, out int
	}{
		"list":       {"QueueStatus", listStart + item("QueueParams") + item("QueueMember") + item("QueueMember") + item("QueueStatusComplete"), 1, 1, 1, 0},
		"last event": {"QueueStatus", listStart + item("QueueParams") + item("QueueStatusComplete"), 1, 1, 1, 0},
		"output":     {"Command", long, 1, 1, 0, partLines},
		"error":      {"Command", strings.Replace(long, "Success", "Error", 1), 2, 2, 0, 2 * partLines},
		"wide":       {"Command", "Response: Success\nActionID: a\n" + strings.Repeat("Output: "+strings.Repeat("x", 20<<10)+"\n", 12) + "\n", 1, 1, 0, 3},
		"last block": {"Command", "Response: Success\nActionID: a\n" + strings.Repeat("Output: x\n", partLines+1) + "\n", 1, 1, 0, partLines},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			part, got := collect(tc.takes)
			d.start(Call{ActionID: "a", Action: tc.action, Part: part})
			d.play(actions, tc.wire)
			r := d.mustEnd("a", TooLarge, SentYes)
			if !errors.Is(r.Cause, ErrPartRefused) {
				t.Errorf("cause %v", r.Cause)
			}
			if len(*got) != tc.parts+1 || r.Parts != tc.parts || r.EventCount != tc.event || r.OutputLines != tc.out {
				t.Errorf("asked %d times; result: %d parts, %d events, %d lines", len(*got), r.Parts, r.EventCount, r.OutputLines)
			}
		})
	}
}

func TestStream_EndsTooLargeWithAFrameThatIs(t *testing.T) {
	long := "X: " + strings.Repeat("x", 10<<10) + "\n\n"
	for name, tc := range map[string]struct{ action, wire string }{
		"truncated item":       {"QueueStatus", listStart + "Event: QueueMember\nActionID: a\n" + long + item("QueueMember") + item("QueueStatusComplete")},
		"truncated output":     {"Command", "Response: Success\nActionID: a\nOutput: x\n" + long},
		"fields":               {"Command", "Response: Success\nActionID: a\nX: " + strings.Repeat("x", 6<<10) + "\nOutput: x\n\n"},
		"truncated text":       {"Queues", pongA + "text\n" + long + pongA},
		"item over ReplyBytes": {"QueueStatus", listStart + "Event: QueueMember\nActionID: a\nX: " + strings.Repeat("x", 6<<10) + "\n\n" + item("QueueStatusComplete")},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, Limits{Pending: 10, ReplyBytes: 4 << 10, TotalBytes: 1 << 20})
			part, got := collect(0)
			d.start(Call{ActionID: "a", Action: tc.action, Part: part})
			eachFrame(t, tc.wire, 8<<10, func(f *frames.Frame) { d.Deliver(actions, f) })
			r := d.mustEnd("a", TooLarge, SentYes)
			if len(*got) != 0 || r.Parts != 0 {
				t.Errorf("%d parts were handed out", len(*got))
			}
		})
	}
}

func TestStream_DoneWaitsForThePartAndNoneComesAfter(t *testing.T) {
	for name, end := range map[string]func(*desk){
		"session lost":  func(d *desk) { d.FailSession(actions, errGone) },
		"shutting down": func(d *desk) { d.FailAll(ShuttingDown, errGone) },
		"timeout":       func(*desk) { time.Sleep(time.Hour); synctest.Wait() },
		"the Originate": func(d *desk) {
			d.play(events, "Event: OriginateResponse\nPrivilege: call,all\nActionID: a\nResponse: Success\n\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, roomy)
				parts := 0
				inside, goOn := make(chan bool), make(chan bool)
				// No Action of Asterisk both streams and waits for an
				// OriginateResponse: this one makes them meet.
				d.start(Call{ActionID: "a", Action: "X", WaitComplete: name == "the Originate", WaitSession: events, Part: func(Part) bool {
					parts++
					inside <- true
					return <-goOn
				}})
				delivered := make(chan bool)
				wire := listStart + item("Y") + item("Y")
				if name == "the Originate" {
					wire = ack + "Event: Y\nActionID: a\nEventList: Complete\n\n" + item("Y")
				}
				go func() { d.play(actions, wire); close(delivered) }()
				<-inside
				end(d)
				d.mustPend("a")
				if got := d.Stats().Pending; got != 0 {
					t.Errorf("%d pending: it was not taken out", got)
				}
				goOn <- true
				<-delivered
				r := d.result("a")
				if r == nil || parts != 1 || r.Parts != 1 || d.Stats().Late != 1 {
					t.Fatalf("%d parts, %d late, result %+v", parts, d.Stats().Late, r)
				}
				r.Release()
				if s := d.Stats(); s.Held != 0 || s.Bytes != 0 {
					t.Errorf("left over: %+v", s)
				}
			})
		})
	}
}

func TestStream_AwaitedOriginateResponseIsNoPart(t *testing.T) {
	d := newDesk(t, roomy)
	part, got := collect(0)
	d.start(Call{ActionID: "a", Action: "Originate", WaitComplete: true, WaitSession: events, Part: part})
	d.play(actions, ack)
	d.play(events, "Event: OriginateResponse\nPrivilege: call,all\nActionID: a\nResponse: Failure\n\n")
	r := d.mustEnd("a", AsteriskError, SentYes)
	if names := eventNames(t, r); len(*got) != 0 || !slices.Equal(names, []string{"OriginateResponse"}) || !errors.Is(r.Cause, ErrOriginateFailed) {
		t.Errorf("%d parts, events %q, cause %v", len(*got), names, r.Cause)
	}
}

func TestStream_APanicInAPartIsNotTakenAndStillEnds(t *testing.T) {
	d := newDesk(t, roomy)
	asked := 0
	d.start(Call{ActionID: "a", Action: "QueueStatus", Part: func(Part) bool { asked++; panic("receiver") }})
	d.play(actions, listStart)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		d.play(actions, item("QueueMember"))
	}()
	d.play(actions, item("QueueMember")+item("QueueStatusComplete"))
	if r := d.mustEnd("a", TooLarge, SentYes); asked != 1 || r.Parts != 0 {
		t.Errorf("asked %d times, %d parts", asked, r.Parts)
	}
}

func TestStream_LateItemsAreNotHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, roomy)
		part, got := collect(0)
		d.start(Call{ActionID: "a", Action: "QueueStatus", Timeout: time.Second, Part: part})
		d.start(Call{ActionID: "b", Action: "QueueStatus", Part: part})
		d.play(actions, listStart+item("QueueMember"))
		time.Sleep(time.Second)
		synctest.Wait()
		if r := d.mustEnd("a", TimedOut, SentYes); r.Parts != 1 || r.EventCount != 1 {
			t.Errorf("%d parts, %d events", r.Parts, r.EventCount)
		}
		if left := d.play(actions, item("QueueMember")+item("QueueStatusComplete")); left != nil {
			t.Errorf("would be published: %q", left)
		}
		d.mustPend("b")
		if s := d.Stats(); len(*got) != 1 || s.Late != 2 {
			t.Errorf("%d parts, %d late; want 1, 2", len(*got), s.Late)
		}
		d.FailAll(ShuttingDown, nil)
	})
}
