package main

import (
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Whoever waits for NATS is told, once, that NATS is there and does not let the user in: that does not end by itself.
func TestClient_SaysThatNATSRefusesItsReturn(t *testing.T) {
	options := func(password string) *natsserver.Options {
		return &natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true, Users: []*natsserver.User{{Username: "u", Password: password}}}
	}
	server := natstest.Launch(t, options("before"))
	t.Cleanup(server.Shutdown)
	envtest.Set(t, "BRIDGE_NATS_URL="+server.ClientURL(), "BRIDGE_NATS_USER=u", "BRIDGE_NATS_PASSWORD=before")
	show, problems, over := newScreen(), newScreen(), make(chan int, 1)
	go func() { over <- run([]string{"x", "tail", "ami.events.>", "--count", "1"}, stdio{"x", show, problems}) }()
	natstest.Within(t, "it listens", func() bool { return subscribed(server, "ami.events.>") })
	if err := server.ReloadOptions(options("after")); err != nil {
		t.Fatal(err)
	}
	problems.await(t, "ami-nats-bridge: NATS does not let it in: .*uthorization")
	if err := server.ReloadOptions(options("before")); err != nil {
		t.Fatal(err)
	}
	problems.await(t, "NATS is back")
	if n := strings.Count(problems.String(), "does not let it in"); n != 1 {
		t.Errorf("it says so %d times:\n%s", n, problems)
	}
	nc := dialNATS(t, strings.Replace(server.ClientURL(), "://", "://u:before@", 1))
	natstest.Within(t, "it listens again", func() bool { return subscribed(server, "ami.events.>") })
	if err := nc.Publish("ami.events.pbx1.Hangup", []byte(`{"Event":"Hangup"}`)); err != nil {
		t.Fatal(err)
	}
	if code := <-over; code != 0 {
		t.Errorf("exit code %d, %s", code, problems)
	}
}
