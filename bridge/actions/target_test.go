package actions

import (
	"testing"
	"testing/synctest"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
)

// Rates that stay are as used up as before; those that change begin anew.
func TestReload_KeepsWhatARateHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, own := config.DefaultConfig(), config.DefaultServerConfig()
		own.ActionRates = policy.Rates{{Pattern: "Originate", Value: 1}}
		s := NewTarget(&cfg, &own, nil, nil, nil)
		p := s.permits.Load()
		if p.rates.Allow("Originate") != 0 {
			t.Fatal("the first is not taken")
		}
		cfg.ActionsDeny = setting.Globs{"Ping"}
		s.Permit(&cfg, &own)
		if p = s.permits.Load(); p.rates.Allow("Originate") == 0 {
			t.Error("a reload of something else gives a used-up rate back")
		}
		own.ActionRates = policy.Rates{{Pattern: "Originate", Value: 2}}
		s.Permit(&cfg, &own)
		p = s.permits.Load()
		through := 0
		for range 5 {
			if p.rates.Allow("Originate") == 0 {
				through++
			}
		}
		if through != 2 {
			t.Errorf("%d are let through at once by the new rate, want 2", through)
		}
	})
}
