package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// What is accepted and does nothing is said, by run and by check.
func TestIdle_NamesWhatHasNoEffect(t *testing.T) {
	for _, test := range []struct {
		set  string // separated by |
		want []string
	}{
		{"", nil},
		{"BRIDGE_AMI_EVENTS_DENY=RTCP*,VarSet,newexten|BRIDGE_AMI_SHED_FIRST=Queue*|BRIDGE_AMI_EVENTS_ALLOW=UserEvent,*", nil},
		{"BRIDGE_AMI_EVENTS_DENY=RTCP,VarSett", []string{
			"BRIDGE_AMI_EVENTS_DENY: RTCP is no event of Asterisk 1.8 to 23: the nearest is RTCPReceived",
			"BRIDGE_AMI_EVENTS_DENY: VarSett is no event of Asterisk 1.8 to 23: the nearest is VarSet",
		}},
		{"BRIDGE_SERVER_PBX1_EVENTS_ALLOW=Queue_*", []string{"BRIDGE_SERVER_PBX1_EVENTS_ALLOW: Queue_* is no event of Asterisk 1.8 to 23: the nearest is QueueCallerAbandon"}},
		{"BRIDGE_AMI_EVENTS=agent|BRIDGE_AMI_EVENTS_ALLOW=Hangup,Agent*", []string{
			"BRIDGE_AMI_EVENTS_ALLOW: Hangup is of a class that BRIDGE_AMI_EVENTS does not ask for",
		}},
		{"BRIDGE_ACTIONS_ALLOW=Command,Originate:SHELL,Originate:*,*|BRIDGE_ACTIONS_DENY=Queue*", nil},
		{"BRIDGE_ACTIONS_ALLOW=QueueStatus", []string{"BRIDGE_ACTIONS_ALLOW: QueueStatus is not refused by default, so that to name it grants nothing"}},
		{"BRIDGE_ACTIONS_ALLOW=Comand,Orginate:SHELL|BRIDGE_ACTIONS_DENY=Originat", []string{
			"BRIDGE_ACTIONS_ALLOW: Comand is no Action of Asterisk 1.8 to 23: the nearest is Command",
			"BRIDGE_ACTIONS_ALLOW: Orginate is no Action of Asterisk 1.8 to 23: the nearest is Originate",
			"BRIDGE_ACTIONS_DENY: Originat is no Action of Asterisk 1.8 to 23: the nearest is Originate",
		}},
		{"BRIDGE_ACTIONS_RULES=Originate: Contxt absent; Hangap: Channel absent; Originate: Context in (a)", []string{
			"BRIDGE_ACTIONS_RULES: Hangap is no Action of Asterisk 1.8 to 23: the nearest is Hangup",
			"BRIDGE_ACTIONS_RULES: Originate: Contxt absent: Contxt is no header of Originate: did you mean Context?",
		}},
		{"BRIDGE_AMI_ACTION_RATES=Queue*=5,QueueStatus=1,Orginate=3|BRIDGE_AMI_ACTION_TIMEOUTS=*=5s,Originate=60s", []string{
			"BRIDGE_AMI_ACTION_RATES: Orginate is no Action of Asterisk 1.8 to 23: the nearest is Originate",
			"BRIDGE_AMI_ACTION_RATES: QueueStatus decides nothing: what it matches is decided by those before it",
			"BRIDGE_AMI_ACTION_TIMEOUTS: Originate decides nothing: what it matches is decided by those before it",
		}},
		{"BRIDGE_ACTIONS_ALLOW=Command|BRIDGE_SERVER_PBX1_ACTIONS_ALLOW=", []string{
			"BRIDGE_SERVER_PBX1_ACTIONS_ALLOW: it is empty, so that BRIDGE_ACTIONS_ALLOW stays in force",
		}},
		{"BRIDGE_NATS_URL=nats://n|BRIDGE_NATS_PASSWORD=x|BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:1", []string{
			"BRIDGE_EMBEDDED_NATS_ADDR: BRIDGE_NATS_URL is set, so that no nats-server is embedded",
			"BRIDGE_NATS_PASSWORD: it is for BRIDGE_NATS_USER, which is not set",
		}},
		{"BRIDGE_NATS_TOKEN=x", []string{"BRIDGE_NATS_TOKEN: BRIDGE_NATS_URL is not set, and the embedded nats-server asks nobody who they are"}},
		{"BRIDGE_NATS_URL=nats://u:p@n|BRIDGE_NATS_USER=u|BRIDGE_NATS_PASSWORD=x", []string{"BRIDGE_NATS_USER: BRIDGE_NATS_URL has a user of its own, which goes first"}},
	} {
		var set []string
		if test.set != "" {
			set = strings.Split(test.set, "|")
		}
		var got []string
		for _, one := range load(t, one(set...)...).idle() {
			got = append(got, one.variable+": "+one.why)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got): %s", test.set, diff)
		}
	}
}

// lines returns what check says of these settings.
func lines(t *testing.T, good bool, set ...string) string {
	t.Helper()
	s := load(t, append(one(set...), "BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:0")...)
	var out bytes.Buffer
	if got := check(t.Context(), &out, s); got != good {
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

func TestCheck_ComparesEventsWithWhatTheUserReads(t *testing.T) {
	_, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": canary}, Read: "system,call"})
	_, none := simulate(t, amisim.Config{Users: map[string]string{"bridge": canary}, Read: "<none>"})
	at := func(addr, events string) []string {
		return []string{"BRIDGE_SERVER_PBX1_ADDR=" + addr, "BRIDGE_AMI_EVENTS=" + events}
	}
	wantLines(t, lines(t, true, at(addr, "call")...), "the user may read all classes of events that are asked for")
	wantLines(t, lines(t, true, at(addr, "on")...), "note  read= lacks log,verbose,", ",message: none of these events ever comes")
	wantLines(t, lines(t, false, at(addr, "call,agent")...), "FAIL  BRIDGE_AMI_EVENTS asks for agent, which the user's read= does not have")
	wantLines(t, lines(t, false, at(none, "on")...), "FAIL  no event ever comes: BRIDGE_AMI_EVENTS=on, and the user's read= has -")
	wantLines(t, lines(t, true, append(at(addr, "call"), "BRIDGE_AMI_EVENTS_DENY=VarSat")...),
		"settings     note  BRIDGE_AMI_EVENTS_DENY has no effect: VarSat is no event", "the nearest is VarSet")
}

// check prints the pin of whoever is there, also of one that is not trusted, and
// with it the login goes through.
func TestCheck_PrintsThePinThatWouldBeAccepted(t *testing.T) {
	cert, err := tls.LoadX509KeyPair("../../amiconn/testdata/cn-only.pem", "../../amiconn/testdata/cn-only.pem")
	if err != nil {
		t.Fatal(err)
	}
	_, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": canary}, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
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
	if _, err := amiconn.AskPeer(t.Context(), cfg, new(net.Dialer).DialContext); err == nil {
		t.Error("a silent port has a certificate")
	}
}
