package correlation

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// TestDeliver_RealReplies plays what Asterisk 22.10.1 and 16.28.0 sent to one
// session that did everything, events between the replies included.
func TestDeliver_RealReplies(t *testing.T) {
	type reply struct {
		action  string
		outcome Outcome
		events  int
	}
	replies := map[string]reply{
		"4": {"CoreShowChannels", Answered, 1}, "6": {"QueueStatus", Answered, 5}, "8": {"PJSIPShowEndpoints", Answered, 3},
		"11": {"PJSIPShowContacts", AsteriskError, 0}, "13": {"SIPpeers", AsteriskError, 0}, "14": {"IAXpeers", Answered, 1},
		"19": {"DeviceStateList", Answered, 10}, "23": {"BridgeTechnologyList", Answered, 5}, "24": {"ConfbridgeListRooms", AsteriskError, 0},
		"30": {"FAXSessions", Answered, 1}, "31": {"FAXStats", Answered, 1}, "38": {"NoSuchAction", AsteriskError, 0},
		"39": {"PJSIPShowEndpoint", Answered, 4}, "40": {"PJSIPShowEndpoint", AsteriskError, 0}, "41": {"Command", Answered, 0},
		"43": {"Command", AsteriskError, 0}, "47": {"DBGet", Answered, 2}, "48": {"DBGet", AsteriskError, 0},
		"52": {"Originate", Answered, 1}, "54": {"Originate", AsteriskError, 1}, "56": {"ConfbridgeList", Answered, 2},
		"59": {"Status", Answered, 3}, "65": {"UserEvent", Answered, 0}, "72": {"Hangup", Answered, 3},
	}
	for version, changes := range map[string]map[string]reply{
		"22": nil,
		"16": {"13": {"SIPpeers", Answered, 1}, "19": {"DeviceStateList", Answered, 7}},
	} {
		t.Run(version, func(t *testing.T) {
			b, err := os.ReadFile("testdata/asterisk-" + version + ".ami")
			if err != nil {
				t.Fatal(err)
			}
			wire := strings.ReplaceAll(string(b), "\r\n", "\n")
			d := newDesk(t, roomy)
			want, bodies := map[string]reply{}, map[string]string{}
			for n, r := range replies {
				id := "node-150" + version + ":" + n
				if !strings.Contains(wire, "ActionID: "+id+"\n") {
					continue
				}
				if c, ok := changes[n]; ok {
					r = c
				}
				want[id] = r
				d.start(Call{ActionID: id, Action: r.action, Regex: true, WaitComplete: r.action == "Originate", WaitSession: actions})
			}
			eachFrame(t, wire, 1<<20, func(f *frames.Frame) {
				id := string(f.Get("ActionID"))
				p, _ := privilege(f)
				async := strings.HasSuffix(string(p), ",all")
				if got := d.Deliver(actions, f); got == async {
					t.Errorf("%s %s: consumed = %v", f.Name(), id, got)
				}
				if f.Kind() == frames.KindEvent && (!async || string(f.Name()) == "OriginateResponse") {
					object, _ := frames.AppendJSON(nil, f, frames.UTF8)
					bodies[id] += "," + string(object)
				}
			})
			got := map[string]reply{}
			for id := range want {
				r := d.result(id)
				if r == nil {
					t.Errorf("%s %s has not ended", id, want[id].action)
					continue
				}
				got[id] = reply{r.Action, r.Outcome, r.EventCount}
				if diff := cmp.Diff(strings.TrimPrefix(bodies[id], ","), string(r.Events)); diff != "" {
					t.Errorf("%s: events (-want +got):\n%s", id, diff)
				}
				r.Release()
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(reply{})); diff != "" {
				t.Errorf("replies (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(Stats{HighWater: d.Stats().HighWater}, d.Stats()); diff != "" {
				t.Errorf("stats (-want +got):\n%s", diff)
			}
		})
	}
}
