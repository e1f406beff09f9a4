package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// What the account's limits, or the server, do not let the bridge make is no stream that it makes
// when it starts.
func TestCheckStreams_SaysWhatTheAccountHasNoRoomFor(t *testing.T) {
	none := server.JetStreamAccountLimits{MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1}
	limited := func(change func(*server.JetStreamAccountLimits)) map[string]server.JetStreamAccountLimits {
		l := none
		change(&l)
		return map[string]server.JetStreamAccountLimits{"": l}
	}
	const made = "ok    stream %s is not there yet: the bridge makes it when it starts"
	const cannot = "FAIL  stream %s is missing: it cannot be made: "
	status, events := fmt.Sprintf(made, "AMI_STATUS"), fmt.Sprintf(made, "AMI_EVENTS")
	for name, test := range map[string]struct {
		limits map[string]server.JetStreamAccountLimits
		set    []string
		want   []string
	}{
		"room for all": {limited(func(l *server.JetStreamAccountLimits) { l.MaxStore, l.MaxStreams = 11<<30, 2 }), nil, []string{status, events}},
		"storage": {
			limited(func(l *server.JetStreamAccountLimits) { l.MaxStore = 9 << 30 }), nil,
			[]string{status, fmt.Sprintf(cannot, "AMI_EVENTS") + "the account has 9663676416 bytes of storage, of which 0 are set aside for other streams, and it would take 10737418240"},
		},
		"no storage": {
			limited(func(l *server.JetStreamAccountLimits) { l.MaxStore = 0 }), nil,
			[]string{fmt.Sprintf(cannot, "AMI_STATUS") + "the account has no storage in files", fmt.Sprintf(cannot, "AMI_EVENTS") + "the account has no storage in files"},
		},
		"streams": {
			limited(func(l *server.JetStreamAccountLimits) { l.MaxStreams = 1 }), nil,
			[]string{status, fmt.Sprintf(cannot, "AMI_EVENTS") + "the account may have 1 streams, and has them, or will by then"},
		},
		"size of one": {
			limited(func(l *server.JetStreamAccountLimits) { l.StoreMaxStreamBytes = 1 << 30 }), nil,
			[]string{status, fmt.Sprintf(cannot, "AMI_EVENTS") + "the account takes streams of at most 1073741824 bytes, and its max_bytes is to be 10737418240"},
		},
		"max_bytes required": {
			limited(func(l *server.JetStreamAccountLimits) { l.MaxBytesRequired = true }), nil,
			[]string{fmt.Sprintf(cannot, "AMI_STATUS") + "the account wants max_bytes of each stream, which the bridge gives this one none of: make it by hand", events},
		},
		"another tier": {
			map[string]server.JetStreamAccountLimits{"R3": none}, nil,
			[]string{fmt.Sprintf(cannot, "AMI_STATUS") + "the account has JetStream for streams of R3, not of R1", fmt.Sprintf(cannot, "AMI_EVENTS") + "the account has"},
		},
		"its tier": {map[string]server.JetStreamAccountLimits{"R1": none, "R3": none}, nil, []string{status, events}},
		"copies on one server": {
			nil, []string{"BRIDGE_STREAM_REPLICAS=3"},
			[]string{fmt.Sprintf(cannot, "AMI_STATUS") + "BRIDGE_STREAM_REPLICAS=3 wants a cluster, and the nats-server is in none (if it is a leaf node of one: go on)", fmt.Sprintf(cannot, "AMI_EVENTS") + "BRIDGE_STREAM"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := natstest.Serve(t, nil)
			if test.limits != nil {
				account := s.GlobalAccount()
				if err := errors.Join(account.DisableJetStream(), account.EnableJetStream(test.limits, nil)); err != nil {
					t.Fatal(err)
				}
			}
			lines, _ := saysOfStreams(t, s.ClientURL(), append([]string{"BRIDGE_AUDIT=off", "BRIDGE_IDEMPOTENCY_WINDOW=0", "BRIDGE_STATE=off"}, test.set...)...)
			says(t, lines, append([]string{allWell[0]}, test.want...)...)
		})
	}
}

// A stream that is there takes nothing where the account's storage is used up, however it is configured.
func TestCheckStreams_SaysThatTheAccountIsFull(t *testing.T) {
	quiet := []string{"BRIDGE_AUDIT=off", "BRIDGE_IDEMPOTENCY_WINDOW=0", "BRIDGE_STATE=off"}
	s := natstest.Serve(t, nil)
	url := s.ClientURL()
	_, settings := saysOfStreams(t, url, quiet...)
	runOnce(t, settings.Bridge) // which publishes of itself
	for limit, want := range map[int64][]string{
		100: {"FAIL  stream AMI_STATUS is full: the account has 100 bytes of storage, and ", "FAIL  stream AMI_EVENTS is full: the account"},
		-1:  {allWell[1], allWell[4]},
	} {
		limits := map[string]server.JetStreamAccountLimits{"": {MaxMemory: -1, MaxStore: limit, MaxStreams: -1, MaxConsumers: -1}}
		account := s.GlobalAccount()
		if err := errors.Join(account.DisableJetStream(), account.EnableJetStream(limits, nil)); err != nil {
			t.Fatal(err)
		}
		lines, _ := saysOfStreams(t, url, quiet...)
		says(t, lines, append([]string{allWell[0]}, want...)...)
	}
}

// Nor can copies be made of a stream that is there, where a new one would lack them.
func TestCheckStreams_SaysThatThereIsNoPlaceForCopies(t *testing.T) {
	s := natstest.Serve(t, nil)
	quiet := []string{"BRIDGE_AUDIT=off", "BRIDGE_IDEMPOTENCY_WINDOW=0", "BRIDGE_STATE=off"}
	_, settings := saysOfStreams(t, s.ClientURL(), quiet...)
	runOnce(t, settings.Bridge)
	const left = ": num_replicas is 1, not 3: left: BRIDGE_STREAM_REPLICAS=3 wants a cluster, and the nats-server is in none (if it is a leaf node of one: go on); meanwhile fewer servers may fail"
	lines, _ := saysOfStreams(t, s.ClientURL(), append(quiet, "BRIDGE_STREAM_REPLICAS=3")...)
	says(t, lines, allWell[0], "note  stream AMI_STATUS"+left, "note  stream AMI_EVENTS"+left)
}
