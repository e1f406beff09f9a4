package integration

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
)

// echo answers an action with its own Variable.
func echo(a *amisim.Action) string {
	return "Response: Success\r\nActionID: " + a.ActionID + "\r\nValue: " + a.Get("Variable") + "\r\n\r\n"
}

// held is an action that the server keeps back.
type held struct {
	id      string
	release chan string // takes what is written before the answer
}

// hold keeps the next action of that name back, and with it its session.
func hold(t *testing.T, sim *amisim.Server, action string) <-chan held {
	came := make(chan held, 1)
	sim.Next(action, func(s *amisim.Session, a *amisim.Action) {
		h := held{a.ActionID, make(chan string, 1)}
		came <- h
		select {
		case before := <-h.release:
			s.Write([]byte(before))
			s.Serve(a)
		case <-t.Context().Done():
		}
	})
	return came
}

func within[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("never came: %s", what)
		panic("unreachable")
	}
}

func TestChaos_PermissionDenied(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{}, nil)
	sim.Next("Reload", amisim.Deny("Permission denied"))
	denied := r.ask("pbx1", "Reload", "")
	got := r.answer(denied)
	fails(t, got, "asterisk_error", "yes")
	if got.Error.Code != 422 || got.Message != "Permission denied" || got.header.Get("Nats-Service-Error-Code") != "422" {
		t.Errorf("the reply is %+v %+v", got, got.Error)
	}
	again := r.ask("pbx1", "Reload", "")
	succeeds(t, r.answer(again))
	r.noMore("pbx1", denied, again)
	if n := sim.Received("Reload"); n != 2 {
		t.Errorf("Reload was sent %d times for two requests", n)
	}
	if failed := r.metric("actions_total", "result", "failed"); failed != 1 {
		t.Errorf("%v actions were counted as failed", failed)
	}
	r.untouched(t, sim, 0)
}

// Every byte of the session has LF for line ends, the banner and the login too.
func TestChaos_BareLFReplies(t *testing.T) {
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	sim.Always(amisim.Accept, amisim.BareLF())
	sim.Always(amisim.Any, amisim.BareLF())
	r := startBridge(t, natsURL(t), chaosConfig, chaosServer("pbx1", addr))
	queues := r.call("pbx1", "QueueStatus", "")
	succeeds(t, queues)
	if n := len(queues.Events); n != 8 || queues.Events[n-1]["Event"] != "QueueStatusComplete" {
		t.Errorf("QueueStatus came with %d events", n)
	}
	if got := r.call("pbx1", "Command", `{"Command":"long 50"}`); len(got.Output) != 50 || got.Error != nil {
		t.Errorf("Command came with %d lines, %+v", len(got.Output), got.Error)
	}
	unknown := r.ask("pbx1", "Getvar", `{"Variable":"a"}`)
	succeeds(t, r.answer(unknown))
	failed := r.ask("pbx1", "PlayDTMF", "")
	fails(t, r.answer(failed), "asterisk_error", "yes")
	r.noMore("pbx1", unknown, failed)
	for i := range 100 {
		end := "\r\n"
		if i%3 != 0 {
			end = "\n"
		}
		sim.EmitRaw([]byte(strings.Join([]string{"Event: Tick", "Privilege: call,all", fmt.Sprint("N: ", i), "", ""}, end)))
	}
	r.settled("pbx1", 100)
	ticks(t, check(t, r.story("pbx1")), 100)
}

// ticks wants exactly the events Tick with N from 0 to n-1, in order.
func ticks(t *testing.T, got tale, n int) {
	t.Helper()
	if len(got.events) != n {
		t.Errorf("the stream holds %d events, want %d", len(got.events), n)
	}
	for i, e := range got.events {
		if e.name != "Tick" || e.text("N") != strconv.Itoa(i) {
			t.Fatalf("event %d is %s", i, e.data)
		}
	}
}

// Asterisk answers what it cannot parse without an ActionID.
func TestChaos_ErrorWithoutActionID(t *testing.T) {
	const stray = "Response: Error\r\nMessage: Missing action in request\r\n\r\n"
	for _, sessions := range []int{2, 1} {
		t.Run(fmt.Sprint(sessions, " sessions"), func(t *testing.T) {
			sim, r := chaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Sessions = sessions })
			sim.Next("CoreStatus", amisim.Before(stray), amisim.After(stray))
			sim.Emit("Event", "Tick", "N", "0")
			sim.EmitRaw([]byte(stray))
			first, second := r.ask("pbx1", "CoreStatus", ""), r.ask("pbx1", "CoreStatus", "")
			succeeds(t, r.answer(first))
			succeeds(t, r.answer(second))
			sim.Emit("Event", "Tick", "N", "1")
			r.settled("pbx1", 2)
			got := check(t, r.story("pbx1"))
			ticks(t, got, 2)
			if got.holes != 0 || len(got.gaps) != 0 || got.sessions != 1 {
				t.Errorf("the events have %d holes, %d gaps, %d sessions", got.holes, len(got.gaps), got.sessions)
			}
			r.noMore("pbx1", first, second)
			if n := r.metric("responses_unmatched_total"); n != 3 {
				t.Errorf("%v unmatched responses were counted, want 3", n)
			}
		})
	}
}

// A byte now and then is slow, not dead, although the whole takes longer than a
// silence may; and the event session is not held up.
func TestChaos_DrippingReplies(t *testing.T) {
	t.Parallel()
	const silence = 15 * time.Second
	sim, r := chaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.PingInterval, s.ReadTimeout = 200*time.Millisecond, silence
	})
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	sim.Next("QueueStatus", slowly(released, silence+time.Second))
	sim.Next("Command", amisim.Drip(50, 20*time.Millisecond))
	states, events := r.subscribe("ami.status.pbx1.connection"), r.subscribe("ami.events.pbx1.Tick")
	queues := r.ask("pbx1", "QueueStatus", "")
	eventually(t, "the request at the server", func() bool { return sim.Received("QueueStatus") == 1 })
	for i := range 20 {
		sim.Emit("Event", "Tick", "N", strconv.Itoa(i))
		r.next(events)
	}
	if n, _, _ := queues.Pending(); n != 0 {
		t.Error("the reply came before it could: the events have shown nothing")
	}
	release()
	got := r.answer(queues)
	succeeds(t, got)
	if n := len(got.Events); n != 8 {
		t.Errorf("QueueStatus came with %d events, want 8", n)
	}
	command := r.ask("pbx1", "Command", `{"Command":"long 40"}`)
	if got := r.answer(command); got.Error != nil || len(got.Output) != 40 || got.Output[39] != "line 40: a: b, c" {
		t.Errorf("Command came with %d lines, %+v", len(got.Output), got.Error)
	}
	r.noMore("pbx1", queues, command)
	r.settled("pbx1", 20)
	ticks(t, check(t, r.story("pbx1")), 20)
	if n := r.changes(states); n != 0 {
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
			sim, r := chaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Sessions = sessions })
			states := r.subscribe("ami.status.pbx1.connection")
			sim.Next("QueueStatus", amisim.Rewrite(func(b []byte) []byte {
				return b[:bytes.LastIndex(b, []byte("Event: QueueStatusComplete"))]
			}))
			sim.Emit("Event", "Tick", "N", "0")
			list := r.ask("pbx1", "QueueStatus", "", "Ami-Timeout", "4s")
			fails(t, r.answer(list), "timeout", "yes")
			again := r.ask("pbx1", "QueueStatus", "")
			if got := r.answer(again); got.Error != nil || len(got.Events) != 8 {
				t.Errorf("the next list has %d events, %+v", len(got.Events), got.Error)
			}
			r.noMore("pbx1", list, again)
			r.untouched(t, sim, 1)
			if changes := r.changes(states); changes != 0 {
				t.Errorf("%d changes of state", changes)
			}
		})
	}
}

func TestChaos_ShuffledReplies(t *testing.T) {
	const n, failed = 1000, 100
	sim, r := chaosBridge(t, amisim.Config{}, nil)
	var answers []string
	sim.Always("Getvar", func(s *amisim.Session, a *amisim.Action) {
		answer := echo(a)
		if i, _ := strconv.Atoi(a.Get("Variable")); i%(n/failed) == 0 {
			answer = "Response: Error\r\nActionID: " + a.ActionID + "\r\nMessage: " + a.Get("Variable") + "\r\n\r\n"
		}
		if answers = append(answers, answer); len(answers) == n {
			rand.Shuffle(n, func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
			s.Write([]byte(strings.Join(answers, "")))
		}
	})
	inbox := nats.NewInbox()
	replies := r.subscribe(inbox + ".*")
	for i := range n {
		body := fmt.Appendf(nil, `{"Variable":"%d"}`, i)
		if err := r.nc.PublishRequest("ami.actions.pbx1.Getvar", fmt.Sprint(inbox, ".", i), body); err != nil {
			t.Fatal(err)
		}
	}
	seen, good, bad := map[string]bool{}, 0, 0
	for range n {
		msg := r.next(replies)
		asked := strings.TrimPrefix(msg.Subject, inbox+".")
		got := parse(t, msg)
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
	if told := r.metric("actions_total", "result", "failed"); told != failed {
		t.Errorf("%v actions were counted as failed, want %d", told, failed)
	}
	r.noMore("pbx1", replies)
	r.untouched(t, sim, 0)
}
