package web

import (
	"fmt"
	"testing"
	"time"
)

// comesOf waits until script is true, and has again happen each time before it looks: a browser that has no time to
// read is given up and comes again, and does not see what happened meanwhile.
func (b *tab) comesOf(again func(), script string) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; {
		again()
		if b.eval("!!("+script+")") == "true" {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("never came: %s; the page says %.600s", script, b.eval(`document.querySelector("#events").innerText`))
		}
	}
}

// Events come by themselves, the newest on top, as text whatever is in them; they can be held, filtered, and
// those of another server be looked at. A Gap is a line of its own.
func TestBrowser_Events(t *testing.T) {
	in := browser(t)
	w := allWell()
	server := site(t, w)
	b := open(t, in, server.URL+"/?view=events", 1440, 900, "light")
	b.comesOf(func() {
		w.happens("Newchannel", fields{"Event": "Newchannel", "Channel": "PJSIP/alice-0000001a", "CallerIDNum": "+493055501234", "Exten": "200"})
		w.happens("Hangup", fields{"Event": "Hangup", "Channel": hostile, "Cause": "16", "Cause-txt": hostile})
		w.happens("Gap", fields{"Event": "Gap", "From": stamp(start), "To": stamp(start.Add(time.Second)), "Reason": "overflow", "Lost": "912"})
		w.happens("QueueCallerJoin", fields{"Event": "QueueCallerJoin", "Queue": "sales", "Position": "2", "Count": "2"})
	}, `document.querySelectorAll("#tap li").length >= 4`)
	b.comes(`document.querySelector("#tap li").innerText.includes("QueueCallerJoin") && document.querySelector("#tap .gap").innerText.includes("GAP") && document.querySelector("#tap .gap").innerText.includes("Lost=912")`)
	b.comes(`document.querySelector("#tap").innerText.includes("<script>") && document.querySelector("#tap").innerText.includes("+…1234") && !document.querySelector("#tap").innerText.includes("5501234")`)
	if b.eval(`String(window.pwned)`) != "undefined" || b.eval(`document.querySelectorAll("#tap img, #tap script, #tap a").length`) != "0" {
		t.Error("what an event holds has been run, or made an element")
	}
	b.sound("events")
	if low := b.eval(contrast); low != "[]" {
		t.Errorf("hard to read: %s", low)
	}
	b.shot("events-light-1440")

	hangup := func(cause string) func() {
		return func() { w.happens("Hangup", fields{"Event": "Hangup", "Cause": cause}) }
	}
	b.eval(`document.querySelector("#pause").click()`)
	b.comesOf(hangup("17"), `/^Paused\. \d+ came while paused\./.test(document.querySelector("#tap-state").textContent)`)
	if b.eval(`document.querySelector("#tap").innerText.includes("Cause=17")`) != "false" {
		t.Error("it is held, and shows more")
	}
	b.eval(`document.querySelector("#pause").click()`)
	b.comesOf(hangup("18"), `document.querySelector("#tap li").innerText.includes("Cause=18")`)
	b.comesOf(func() {
		for i := range 2000 { // more than it is handed at once
			w.happens("VarSet", fields{"Variable": "N", "Value": i})
		}
	}, `document.querySelector("#tap-state").textContent.includes("were not looked at")`)
	b.comesOf(hangup("19"), `document.querySelector("#tap li").innerText.includes("Cause=19") && document.querySelectorAll("#tap li").length <= 300`)

	b.eval(`{ document.querySelector("#names").value = "Queue*"; document.querySelector("form.sieve").requestSubmit(); }`)
	b.comes(`location.search.includes("events=Queue*") && document.querySelector("#tap-state")`)
	b.comesOf(func() {
		hangup("20")()
		w.happens("QueueCallerLeave", fields{"Event": "QueueCallerLeave", "Queue": "sales"})
	}, `document.querySelectorAll("#tap li").length >= 1`)
	if said := b.eval(`document.querySelector("#tap").innerText.includes("Hangup")`); said != "false" {
		t.Error("what the filter does not want is shown")
	}
	b.eval(`document.querySelectorAll("#list a")[1].click()`)
	b.comes(`document.querySelector("h1")?.textContent === "Events of pbx-ber-02" && document.querySelector("#names").value === "Queue*"`)
	b.close()

	for _, size := range []int64{400, 320} {
		b = open(t, in, server.URL+"/?view=events&events=hangup", size, 700, "dark")
		b.comes(`document.querySelector("#events").innerText.includes("the nearest is Hangup")`)
		b.comesOf(func() {
			w.happens("hangup", fields{"Channel": "PJSIP/a-very-long-name-of-a-channel-that-has-no-place-to-break-0000001a"})
		}, `document.querySelectorAll("#tap li").length >= 1`)
		b.sound(fmt.Sprint("events ", size))
		b.shot(fmt.Sprintf("events-dark-%d", size))
		b.close()
	}
}
