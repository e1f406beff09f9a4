package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/present"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

func TestCheck_ComparesEventsWithWhatTheUserReads(t *testing.T) {
	_, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary}, Read: "system,call"})
	_, none := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary}, Read: "<none>"})
	at := func(addr, events string) []string {
		return []string{"BRIDGE_SERVER_PBX1_ADDR=" + addr, "BRIDGE_AMI_EVENTS=" + events}
	}
	wantLines(t, lines(t, true, at(addr, "call")...), "the user may read all classes of events that are asked for")
	wantLines(t, lines(t, true, at(addr, "on")...), "note  read= lacks log,verbose,", ",message: none of these events ever comes")
	const byLists = "note  without events of class %s the state of %s is right only when lists have come"
	wantLines(t, lines(t, true, at(addr, "on")...), fmt.Sprintf(byLists, "agent", "queues"),
		"note  the state of bridges,", " is never brought right: the user may not send BridgeList,")
	wantLines(t, lines(t, true, append(at(addr, "system"), "BRIDGE_AMI_STATE=channels,agents,contacts")...),
		fmt.Sprintf(byLists, "call", "channels,agents"), fmt.Sprintf(byLists, "agent", "agents"))
	for _, off := range []string{"BRIDGE_AMI_STATE=contacts", "BRIDGE_STATE=off"} {
		if text := lines(t, true, append(at(addr, "on"), off)...); strings.Contains(text, "only when lists have come") {
			t.Errorf("%s: %s", off, text)
		}
	}
	wantLines(t, lines(t, false, at(addr, "call,agent")...), "FAIL  BRIDGE_AMI_EVENTS asks for agent, which the user's read= does not have")
	wantLines(t, lines(t, false, at(none, "on")...), "FAIL  no event ever comes: BRIDGE_AMI_EVENTS=on, and the user's read= has -")
	wantLines(t, lines(t, true, append(at(addr, "call"), "BRIDGE_AMI_EVENTS_DENY=VarSat")...),
		"settings     note  BRIDGE_AMI_EVENTS_DENY has no effect: VarSat is not an event", "the nearest is VarSet")
}

// What the state wants of the user is what catalog knows of its events, and what the
// reducer asks for.
func TestCheck_WhatTheStateWants(t *testing.T) {
	first := map[string]struct {
		event string
		kind  present.Kind
	}{
		"channels": {"Newchannel", present.Channel}, "bridges": {"BridgeCreate", present.Bridge}, "queues": {"QueueCallerJoin", present.Caller},
		"parking": {"ParkedCall", present.Parked}, "conferences": {"ConfbridgeJoin", present.Participant}, "extensions": {"ExtensionStatus", present.Extension},
		"agents": {"AgentLogin", present.Agent}, "presence": {"PresenceStateChange", present.Presence}, "contacts": {"ContactStatus", present.Contact},
		"registrations": {"Registry", present.Registration}, "devices": {"DeviceStateChange", present.Device},
	}
	for word, wants := range stateWants {
		if err := new(config.StateKinds).UnmarshalText([]byte(word)); err != nil {
			t.Error(err)
		}
		i := slices.IndexFunc(catalog.Events(), func(e catalog.Event) bool { return e.Name == first[word].event })
		if i < 0 || catalog.Events()[i].Classes[0] != wants.classes[0] || !slices.Equal(wants.classes, first[word].kind.Classes()) {
			t.Errorf("%s wants %v of %s", word, wants.classes, first[word].event)
		}
	}
	var asked []string
	for l := range present.Lists {
		asked = append(asked, present.Ask{List: l}.Action())
	}
	for word, wants := range stateWants {
		for _, action := range wants.lists {
			if !slices.Contains(asked, action) {
				t.Errorf("%s: nobody asks for %s", word, action)
			}
		}
	}
	if len(stateWants) != len(first) {
		t.Errorf("%d words", len(stateWants))
	}
}

// check prints the pin of whoever is there, also of one that is not trusted, and
// with it the login goes through.
func TestCheck_PrintsThePinThatWouldBeAccepted(t *testing.T) {
	cert, err := tls.LoadX509KeyPair("../../amiconn/testdata/cn-only.pem", "../../amiconn/testdata/cn-only.pem")
	if err != nil {
		t.Fatal(err)
	}
	_, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary}, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	const ca, pin = "BRIDGE_AMI_TLS_CA_FILE=../../amiconn/testdata/cn-only-ca.crt", "d8af9f3a3e55c64698592b483e9a1d619db56d76d8d0bdfc118635c648a4c618"
	prints := "TLS 1.3, certificate of CN=pbx.test,O=My Company, good until 2100-01-01; its public key is accepted by BRIDGE_SERVER_PBX1_TLS_PIN_SHA256=" + pin
	base := []string{"BRIDGE_SERVER_PBX1_ADDR=" + addr, "BRIDGE_AMI_TLS=on"}
	wantLines(t, lines(t, false, base...), prints, "BRIDGE_SERVER_PBX1_TLS_CA_FILE")
	wantLines(t, lines(t, false, append(base, ca)...), prints, `no name but its CN, "pbx.test"`, "BRIDGE_SERVER_PBX1_TLS_SERVER_NAME=pbx.test accepts that name")
	wantLines(t, lines(t, true, append(base, ca, "BRIDGE_SERVER_PBX1_TLS_SERVER_NAME=pbx.test")...), prints, "logged in as bridge")
	wantLines(t, lines(t, true, append(base, "BRIDGE_SERVER_PBX1_TLS_PIN_SHA256="+pin)...), prints, "logged in as bridge")
}

// Whoever asks for a certificate says nothing, and does not wait for ever.
func TestCheck_APortThatIsSilent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { <-ctx.Done(); conn.Close() })
		}
	})
	defer func() { cancel(); listener.Close(); group.Wait() }()
	cfg := amiconn.DefaultConfig()
	cfg.Addr, cfg.ConnectTimeout = listener.Addr().String(), 1
	if _, err := amiconn.PeerOf(t.Context(), cfg, new(net.Dialer).DialContext); err == nil {
		t.Error("a silent port has a certificate")
	}
}

// lines returns what check says of these settings.
func lines(t *testing.T, good bool, set ...string) string {
	t.Helper()
	s := load(t, append(envtest.One(set...), "BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:0")...)
	var out bytes.Buffer
	if got := checked(t, &out, s); got != good {
		t.Errorf("good is %v:\n%s", got, &out)
	}
	return out.String()
}

func wantLines(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(got, text) {
			t.Errorf("no %q in\n%s", text, got)
		}
	}
}
