package bridge

import (
	"strings"
	"testing"
)

// What is no URL is not quoted: there is a password in it.
func TestConnect_QuotesNoURL(t *testing.T) {
	for _, url := range []string{"nats://u:c4n4ry%zz@h:4222", "nats://h,nats://u:c4n4ry@h:port", "nats://c4n4ry\x01@h"} {
		cfg := DefaultConfig()
		cfg.NATS.URL = url
		_, err := Connect(cfg, "test")
		if err == nil || strings.Contains(err.Error(), "c4n4ry") || !strings.Contains(err.Error(), "NATS_URL") {
			t.Errorf("%v", err)
		}
	}
}
