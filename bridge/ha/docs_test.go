package ha

import (
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// The page says what the code does.
func TestDocs_Bounds(t *testing.T) {
	pagetest.Limits(t, map[string]int{"maxReceived": maxReceived, "beatRate": beatRate, "maxAsks": maxAsks, "maxBefore": maxBefore, "askers": askers, "maxUnheard": maxUnheard, "maxOthers": maxOthers})
}

func TestDocs_WhatOperatorsRelyOn(t *testing.T) {
	pagetest.Says(t, "ha", "four times a second", "or after a minute",
		"messages, which have a version of their own: 2 so far", "`this bridge leads nothing more`")
	if beat != time.Second/4 || deniedFor != time.Minute || standby.Version != 2 {
		t.Error("docs/ha.md says otherwise")
	}
	c := config.DefaultConfig()
	c.HA, c.Stream.MaxAge = true, 2*time.Minute-1
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "STREAM_MAX_AGE: wants at least 2m") {
		t.Errorf("%v", err)
	}
}
