package web

import (
	"fmt"
	"testing"
	"time"
)

// Events come by themselves, the newest on top, as text whatever is in them; they can be held, filtered, and
// those of another server be looked at. A Gap is a line of its own.
func TestBrowser_Events(t *testing.T) {
	in := browser(t)
	w := allWell()
	server := site(t, w)
	b := open(t, in, server.URL+"/?view=events", 1440, 900, "light")
	b.comes(`document.querySelector("#tap-state").textContent === "Live."`)
	w.happens("Newchannel", fields{"Event": "Newchannel", "Channel": "PJSIP/alice-0000001a", "CallerIDNum": "+493055501234", "Exten": "200"})
	w.happens("Hangup", fields{"Event": "Hangup", "Channel": hostile, "Cause": "16", "Cause-txt": hostile})
	w.happens("Gap", fields{"Event": "Gap", "From": stamp(start), "To": stamp(start.Add(time.Second)), "Reason": "overflow", "Lost": "912"})
	w.happens("QueueCallerJoin", fields{"Event": "QueueCallerJoin", "Queue": "sales", "Position": "2", "Count": "2"})
	b.comes(`document.querySelectorAll("#tap li").length === 4`)
	b.comes(`document.querySelector("#tap li").innerText.includes("QueueCallerJoin") && document.querySelector("#tap .gap").innerText.includes("GAP") && document.querySelector("#tap .gap").innerText.includes("Lost=912")`)
	b.comes(`document.querySelector("#tap").innerText.includes("<script>") && !document.querySelector("#tap").innerText.includes("5501234")`)
	if b.eval(`String(window.pwned)`) != "undefined" || b.eval(`document.querySelectorAll("#tap img, #tap script, #tap a").length`) != "0" {
		t.Error("what an event holds has been run, or made an element")
	}
	b.sound("events")
	if low := b.eval(contrast); low != "[]" {
		t.Errorf("hard to read: %s", low)
	}
	b.shot("events-light-1440")

	b.eval(`document.querySelector("#pause").click()`)
	w.happens("Hangup", fields{"Event": "Hangup", "Cause": "17"})
	b.comes(`document.querySelector("#tap-state").textContent === "Paused. 1 came while paused." && document.querySelectorAll("#tap li").length === 4`)
	b.eval(`document.querySelector("#pause").click()`)
	w.happens("Hangup", fields{"Event": "Hangup", "Cause": "18"})
	b.comes(`document.querySelector("#tap li").innerText.includes("Cause=18") && document.querySelectorAll("#tap li").length === 5`)
	for i := range 20_000 { // no machine takes as many looks for it as show them all
		w.happens("VarSet", fields{"Variable": "N", "Value": i})
	}
	b.comes(`document.querySelector("#tap-state").textContent.includes("were not looked at")`)
	w.happens("Hangup", fields{"Event": "Hangup", "Cause": "19"})
	b.comes(`document.querySelector("#tap li").innerText.includes("Cause=19") && document.querySelectorAll("#tap li").length <= 300`)

	b.eval(`{ document.querySelector("#names").value = "Queue*"; document.querySelector("form.sieve").requestSubmit(); }`)
	b.comes(`location.search.includes("events=Queue*") && document.querySelector("#tap-state")?.textContent === "Live."`)
	w.happens("Hangup", fields{"Event": "Hangup"})
	w.happens("QueueCallerLeave", fields{"Event": "QueueCallerLeave", "Queue": "sales"})
	b.comes(`document.querySelectorAll("#tap li").length === 1 && document.querySelector("#tap li").innerText.includes("QueueCallerLeave")`)
	b.eval(`document.querySelectorAll("#list a")[1].click()`)
	b.comes(`document.querySelector("h1")?.textContent === "Events of pbx-ber-02" && document.querySelector("#names").value === "Queue*"`)
	b.close()

	for _, size := range []int64{400, 320} {
		b = open(t, in, server.URL+"/?view=events&events=hangup", size, 700, "dark")
		b.comes(`document.querySelector("#events").innerText.includes("the nearest is Hangup") && document.querySelector("#tap-state").textContent === "Live."`)
		w.happens("hangup", fields{"Channel": "PJSIP/a-very-long-name-of-a-channel-that-has-no-place-to-break-0000001a"})
		b.comes(`document.querySelectorAll("#tap li").length === 1`)
		b.sound(fmt.Sprint("events ", size))
		b.shot(fmt.Sprintf("events-dark-%d", size))
		b.close()
	}
}
