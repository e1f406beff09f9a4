package present

import (
	"strings"
	"testing"
)

// What is larger than the bucket takes is not there: neither as it was before it grew, nor without
// a word in the server's value. Once it fits, or has ended, nothing of that is left.
func TestWrites_WhatIsTooLargeIsNamedAndNotThere(t *testing.T) {
	for name, after := range map[string]struct {
		lines []string
		there bool
	}{
		"it fits again": {[]string{"Event: Newstate", block("1.1", "4")}, true},
		"it has ended":  {[]string{"Event: Hangup", block("1.1", "6")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Options{Interval: interval}).skipFirst()
			bucket, writes := map[string]bool{}, 0
			settle := func() {
				t.Helper()
				var one Write
				for {
					wait, any := w.p.Next(w.now)
					if !any {
						return
					}
					if w.now = w.now.Add(wait); !w.p.Take(&one, w.now) {
						t.Fatal("nothing is due")
					}
					if writes++; writes > 20 {
						t.Fatal("it is written again and again")
					}
					if one.Unfit = strings.Contains(string(one.Value), `"ChannelState":"6"`); !one.Unfit {
						bucket[one.Key] = !one.End
					}
					w.p.Done(&one, !one.Unfit, w.now)
				}
			}
			named := func() bool {
				return strings.Contains(string(w.p.AppendServer(nil, "b1", true, w.now)), `"channel":"too large"`)
			}
			w.event("Event: Newchannel", block("1.1", "0"))
			settle()
			if named() || !bucket["pbx1.channel.1=2E1"] {
				t.Fatal("it is too large from the start")
			}
			w.event("Event: Newstate", block("1.1", "6"))
			settle()
			if !named() || bucket["pbx1.channel.1=2E1"] {
				t.Errorf("named: %v; the bucket has it as it was: %v", named(), bucket["pbx1.channel.1=2E1"])
			}
			w.event(after.lines...)
			settle()
			if named() || bucket["pbx1.channel.1=2E1"] != after.there {
				t.Errorf("afterwards named: %v, there: %v", named(), bucket["pbx1.channel.1=2E1"])
			}
		})
	}
}
