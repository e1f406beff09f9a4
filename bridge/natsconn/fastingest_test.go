package natsconn

import "testing"

func TestFast_SinceWhichServer(t *testing.T) {
	for version, want := range map[string]bool{"2.13.9": false, "2.14.0": true, "2.9.1": false, "3.0.0": true, "2.15.0-dev": true, "": true} {
		if got := FastIngestSince(version); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}

func TestVersion_OfMessagesThatExpire(t *testing.T) {
	for version, want := range map[string]bool{"2.10.29": false, "2.9.0": false, "2.11.0": true, "2.15.2": true, "3.0.0": true, "1.4.1": false, "?": true} {
		if got := MessageTTLSince(version); got != want {
			t.Errorf("%s: %v", version, got)
		}
	}
}
