package env

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
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
			"BRIDGE_AMI_EVENTS_DENY: RTCP is not an event of Asterisk 1.8 to 23: the nearest is RTCPReceived",
			"BRIDGE_AMI_EVENTS_DENY: VarSett is not an event of Asterisk 1.8 to 23: the nearest is VarSet",
		}},
		{"BRIDGE_SERVER_PBX1_EVENTS_ALLOW=Queue_*", []string{"BRIDGE_SERVER_PBX1_EVENTS_ALLOW: Queue_* is not an event of Asterisk 1.8 to 23: the nearest is QueueCallerAbandon"}},
		{"BRIDGE_AMI_EVENTS=agent|BRIDGE_AMI_EVENTS_ALLOW=Hangup,Agent*", []string{
			"BRIDGE_AMI_EVENTS_ALLOW: Hangup is of a class that BRIDGE_AMI_EVENTS does not ask for",
		}},
		{"BRIDGE_ACTIONS_ALLOW=Command,Originate:SHELL,Originate:*,*|BRIDGE_ACTIONS_DENY=Queue*", nil},
		{"BRIDGE_ACTIONS_ALLOW=QueueStatus", []string{"BRIDGE_ACTIONS_ALLOW: QueueStatus is not refused by default, so that to name it grants nothing"}},
		{"BRIDGE_ACTIONS_ALLOW=Comand,Orginate:SHELL|BRIDGE_ACTIONS_DENY=Originat", []string{
			"BRIDGE_ACTIONS_ALLOW: Comand is not an Action of Asterisk 1.8 to 23: the nearest is Command",
			"BRIDGE_ACTIONS_ALLOW: Orginate is not an Action of Asterisk 1.8 to 23: the nearest is Originate",
			"BRIDGE_ACTIONS_DENY: Originat is not an Action of Asterisk 1.8 to 23: the nearest is Originate",
		}},
		{"BRIDGE_ACTIONS_RULES=Originate: Contxt absent; Hangap: Channel absent; Originate: Context in (a)", []string{
			"BRIDGE_ACTIONS_RULES: Hangap is not an Action of Asterisk 1.8 to 23: the nearest is Hangup",
			"BRIDGE_ACTIONS_RULES: Originate: Contxt absent: Contxt is not a header of Originate: did you mean Context?",
		}},
		{"BRIDGE_AMI_ACTION_RATES=Queue*=5,QueueStatus=1,Orginate=3|BRIDGE_AMI_ACTION_TIMEOUTS=*=5s,Originate=60s", []string{
			"BRIDGE_AMI_ACTION_RATES: Orginate is not an Action of Asterisk 1.8 to 23: the nearest is Originate",
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
		{"BRIDGE_HA_WEIGHT=2", []string{"BRIDGE_HA_WEIGHT: BRIDGE_HA is off, so that no other bridge takes over"}},
		{"BRIDGE_HA=on|BRIDGE_NATS_URL=nats://n|BRIDGE_HA_WEIGHT=2|BRIDGE_HA_SILENCE=2s", nil},
		{"BRIDGE_NATS_TOKEN=x", []string{"BRIDGE_NATS_TOKEN: BRIDGE_NATS_URL is not set, and the embedded nats-server asks nobody who they are"}},
		{"BRIDGE_NATS_URL=nats://u:p@n|BRIDGE_NATS_USER=u|BRIDGE_NATS_PASSWORD=x", []string{"BRIDGE_NATS_USER: BRIDGE_NATS_URL has a user of its own, which goes first"}},
	} {
		var set []string
		if test.set != "" {
			set = strings.Split(test.set, "|")
		}
		var got []string
		for _, one := range loaded(t, envtest.One(set...)...).Idle() {
			got = append(got, one.Variable+": "+one.Why)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got): %s", test.set, diff)
		}
	}
}
