package standby

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The page says what the code does.
func TestDocs_Bounds(t *testing.T) {
	pagetest.Limits(t, map[string]int{
		"JoinSpan": JoinSpan, "maxMarks": maxMarks, "maxPoints": maxPoints, "maxUnacked": maxUnacked, "maxTail": maxTail, "maxBridges": maxBridges,
		"MaxServers": MaxServers, "MaxMessage": MaxMessage, "maxParts": maxParts, "maxAnswers": maxAnswers,
	})
}

// What operators rely on is as docs/ha.md has it.
func TestDocs_WhatOperatorsRelyOn(t *testing.T) {
	pagetest.Says(t, "ha", "written anew each "+pagetest.Seconds(renewAfter), "some 130 events that differ, and ten seconds", "Four times of each kind", "for a minute says why", "up to 256, so any bridge is heard where that is 8 KiB or more", "one server a second", "two seconds later than one in sync",
		"2,048 servers of one bridge and 64 bridges of one prefix")
	if attested != 4 || JoinPatience != time.Minute || coldPause != 2*time.Second || movePause != time.Second || MaxServers != 2048 || maxBridges != 64 {
		t.Error("docs/ha.md says otherwise")
	}
}
