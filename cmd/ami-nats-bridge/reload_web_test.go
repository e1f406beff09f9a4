package main

import (
	"slices"
	"testing"
)

// Who may see the page is taken up by SIGHUP.
func TestReload_TakesUpWhoSeesThePage(t *testing.T) {
	l := newReloading(t, nil, []string{"BRIDGE_SERVERS=pbx1", "BRIDGE_SERVER_PBX1_ADDR=127.0.0.1:1", "BRIDGE_SERVER_PBX1_USERNAME=u", "BRIDGE_SERVER_PBX1_SECRET=s"})
	said := l.reload("BRIDGE_SERVERS=pbx1", "BRIDGE_SERVER_PBX1_ADDR=127.0.0.1:1", "BRIDGE_SERVER_PBX1_USERNAME=u", "BRIDGE_SERVER_PBX1_SECRET=s",
		"BRIDGE_WEB=on", "BRIDGE_WEB_NUMBERS=none", "BRIDGE_WEB_PASSWORD=correct-horse")
	if want := []string{"info: settings read again [BRIDGE_WEB BRIDGE_WEB_NUMBERS BRIDGE_WEB_PASSWORD]"}; !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
}
