package actions

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

func TestChaos_PermissionDenied(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	sim.Next("Reload", amisim.Deny("Permission denied"))
	denied := r.Ask("pbx1", "Reload", "")
	got := r.Answer(denied)
	harness.Fails(t, got, "asterisk_error", "yes")
	if got.Error.Code != 422 || got.Message != "Permission denied" || got.Header.Get("Nats-Service-Error-Code") != "422" {
		t.Errorf("the reply is %+v %+v", got, got.Error)
	}
	again := r.Ask("pbx1", "Reload", "")
	harness.Succeeds(t, r.Answer(again))
	r.NoMore("pbx1", denied, again)
	if n := sim.Received("Reload"); n != 2 {
		t.Errorf("Reload was sent %d times for two requests", n)
	}
	if failed := r.Metric("actions_total", "result", "failed"); failed != 1 {
		t.Errorf("%v actions were counted as failed", failed)
	}
	r.Untouched(t, sim, 0)
}

// Every byte of the session has LF for line ends, the banner and the login too.
func TestChaos_BareLFReplies(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	sim.Always(amisim.Accept, amisim.BareLF())
	sim.Always(amisim.Any, amisim.BareLF())
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	queues := r.Call("pbx1", "QueueStatus", "")
	harness.Succeeds(t, queues)
	if n := len(queues.Events); n != 8 || queues.Events[n-1]["Event"] != "QueueStatusComplete" {
		t.Errorf("QueueStatus came with %d events", n)
	}
	if got := r.Call("pbx1", "Command", `{"Command":"long 50"}`); len(got.Output) != 50 || got.Error != nil {
		t.Errorf("Command came with %d lines, %+v", len(got.Output), got.Error)
	}
	unknown := r.Ask("pbx1", "Getvar", `{"Variable":"a"}`)
	harness.Succeeds(t, r.Answer(unknown))
	failed := r.Ask("pbx1", "PlayDTMF", "")
	harness.Fails(t, r.Answer(failed), "asterisk_error", "yes")
	r.NoMore("pbx1", unknown, failed)
	for i := range 100 {
		end := "\r\n"
		if i%3 != 0 {
			end = "\n"
		}
		sim.EmitRaw([]byte(strings.Join([]string{"Event: Tick", "Privilege: call,all", fmt.Sprint("N: ", i), "", ""}, end)))
	}
	r.Drained("pbx1", 100)
	harness.Ticks(t, harness.CheckStory(t, r.Story("pbx1")), 100)
}

// Asterisk answers what it cannot parse without an ActionID.
func TestChaos_ErrorWithoutActionID(t *testing.T) {
	t.Parallel()
	const stray = "Response: Error\r\nMessage: Missing action in request\r\n\r\n"
	for _, sessions := range []int{2, 1} {
		t.Run(fmt.Sprint(sessions, " sessions"), func(t *testing.T) {
			sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Sessions = sessions })
			sim.Next("CoreStatus", amisim.Before(stray), amisim.After(stray))
			sim.Emit("Event", "Tick", "N", "0")
			sim.EmitRaw([]byte(stray))
			first, second := r.Ask("pbx1", "CoreStatus", ""), r.Ask("pbx1", "CoreStatus", "")
			harness.Succeeds(t, r.Answer(first))
			harness.Succeeds(t, r.Answer(second))
			sim.Emit("Event", "Tick", "N", "1")
			r.Drained("pbx1", 2)
			got := harness.CheckStory(t, r.Story("pbx1"))
			harness.Ticks(t, got, 2)
			if got.Missing != 0 || len(got.Gaps) != 0 || got.Sessions != 1 {
				t.Errorf("the events have %d missing, %d gaps, %d sessions", got.Missing, len(got.Gaps), got.Sessions)
			}
			r.NoMore("pbx1", first, second)
			if n := r.Metric("responses_unmatched_total"); n != 3 {
				t.Errorf("%v unmatched responses were counted, want 3", n)
			}
		})
	}
}

// A byte now and then is slow, not dead, although the whole takes longer than a
// silence may; and the event session is not held up.
func TestChaos_DrippingReplies(t *testing.T) {
	longtest.Mark(t, "a reply takes longer than a silence may, which a slow machine keeps below 15 s")
	t.Parallel()
	const silence = 15 * time.Second
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.PingInterval, s.ReadTimeout = 200*time.Millisecond, silence
	})
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	sim.Next("QueueStatus", slowly(released, silence+time.Second))
	sim.Next("Command", amisim.Drip(50, 20*time.Millisecond))
	states, events := r.Subscribe("ami.status.pbx1.connection"), r.Subscribe("ami.events.pbx1.Tick")
	queues := r.Ask("pbx1", "QueueStatus", "")
	harness.Eventually(t, "the request at the server", func() bool { return sim.Received("QueueStatus") == 1 })
	for i := range 20 {
		sim.Emit("Event", "Tick", "N", strconv.Itoa(i))
		r.Next(events)
	}
	if n, _, _ := queues.Pending(); n != 0 {
		t.Error("the reply came before it could: the events have shown nothing")
	}
	release()
	got := r.Answer(queues)
	harness.Succeeds(t, got)
	if n := len(got.Events); n != 8 {
		t.Errorf("QueueStatus came with %d events, want 8", n)
	}
	command := r.Ask("pbx1", "Command", `{"Command":"long 40"}`)
	if got := r.Answer(command); got.Error != nil || len(got.Output) != 40 || got.Output[39] != "line 40: a: b, c" {
		t.Errorf("Command came with %d lines, %+v", len(got.Output), got.Error)
	}
	r.NoMore("pbx1", queues, command)
	r.Drained("pbx1", 20)
	harness.Ticks(t, harness.CheckStory(t, r.Story("pbx1")), 20)
	if n := r.Changes(states); n != 0 {
		t.Errorf("%d changes of state", n)
	}
}

// slowly sends a reply byte by byte, and its end once released is closed and so
// long has passed.
func slowly(released <-chan struct{}, least time.Duration) amisim.Fault {
	return func(s *amisim.Session, a *amisim.Action) {
		began, reply := time.Now(), s.Reply(a)
		half := len(reply) / 2
		s.Write(reply[:half])
		for at := half; ; s.Sleep(250 * time.Millisecond) {
			select {
			case <-released:
				if time.Since(began) > least {
					s.Write(reply[at:])
					return
				}
			default:
			}
			if at < len(reply)-1 {
				s.Write(reply[at : at+1])
				at++
			}
		}
	}
}

// A list that stops half way ends at its own timeout, as sent, with no success
// and no event; the session goes on.
func TestChaos_ListThatStopsHalfWay(t *testing.T) {
	t.Parallel()
	for _, sessions := range []int{2, 1} {
		t.Run(fmt.Sprint(sessions, " sessions"), func(t *testing.T) {
			t.Parallel()
			sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Sessions = sessions })
			states := r.Subscribe("ami.status.pbx1.connection")
			sim.Next("QueueStatus", amisim.Rewrite(func(b []byte) []byte {
				return b[:bytes.LastIndex(b, []byte("Event: QueueStatusComplete"))]
			}))
			sim.Emit("Event", "Tick", "N", "0")
			list := r.Ask("pbx1", "QueueStatus", "", "Ami-Timeout", "4s")
			harness.Fails(t, r.Answer(list), "timeout", "yes")
			again := r.Ask("pbx1", "QueueStatus", "")
			if got := r.Answer(again); got.Error != nil || len(got.Events) != 8 {
				t.Errorf("the next list has %d events, %+v", len(got.Events), got.Error)
			}
			r.NoMore("pbx1", list, again)
			r.Untouched(t, sim, 1)
			if changes := r.Changes(states); changes != 0 {
				t.Errorf("%d changes of state", changes)
			}
		})
	}
}

func TestChaos_ShuffledReplies(t *testing.T) {
	t.Parallel()
	const n, failed = 1000, 100
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	var answers []string
	sim.Always("Getvar", func(s *amisim.Session, a *amisim.Action) {
		answer := harness.Echo(a)
		if i, _ := strconv.Atoi(a.Get("Variable")); i%(n/failed) == 0 {
			answer = "Response: Error\r\nActionID: " + a.ActionID + "\r\nMessage: " + a.Get("Variable") + "\r\n\r\n"
		}
		if answers = append(answers, answer); len(answers) == n {
			rand.Shuffle(n, func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
			s.Write([]byte(strings.Join(answers, "")))
		}
	})
	inbox := nats.NewInbox()
	replies := r.Subscribe(inbox + ".*")
	for i := range n {
		body := fmt.Appendf(nil, `{"Variable":"%d"}`, i)
		if err := r.Client.PublishRequest("ami.actions.pbx1.Getvar", fmt.Sprint(inbox, ".", i), body); err != nil {
			t.Fatal(err)
		}
	}
	seen, good, bad := map[string]bool{}, 0, 0
	for range n {
		msg := r.Next(replies)
		asked := strings.TrimPrefix(msg.Subject, inbox+".")
		got := harness.ParseReply(t, msg)
		if seen[asked] {
			t.Errorf("%s was answered twice", asked)
		}
		seen[asked] = true
		switch {
		case got.Error == nil && got.Fields["Value"] == asked:
			good++
		case got.Error != nil && got.Error.Kind == "asterisk_error" && got.Error.Sent == "yes" && got.Message == asked:
			bad++
		default:
			t.Fatalf("request %s was answered %s", asked, msg.Data)
		}
	}
	if good != n-failed || bad != failed {
		t.Errorf("%d answers and %d errors, want %d and %d", good, bad, n-failed, failed)
	}
	if told := r.Metric("actions_total", "result", "failed"); told != failed {
		t.Errorf("%v actions were counted as failed, want %d", told, failed)
	}
	r.NoMore("pbx1", replies)
	r.Untouched(t, sim, 0)
}
