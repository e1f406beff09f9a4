package catalog

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTable_IsWellFormed(t *testing.T) {
	versions := regexp.MustCompile(`^(1\.8|\d\d)(,\d\d)?\.\.(14|20|23)$`)
	var names []string
	for line := range strings.Lines(table) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 3 && len(f) != 4 {
			t.Errorf("%q has %d columns", line, len(f))
			continue
		}
		names = append(names, f[0])
		if !versions.MatchString(f[1]) {
			t.Errorf("%s: versions %q", f[0], f[1])
		}
		if f[2] != "yes" && f[2] != "no" {
			t.Errorf("%s: reads %q", f[0], f[2])
		}
		seen := map[string]bool{"action": true, "actionid": true}
		for _, h := range rows()[f[0]].headers {
			if seen[strings.ToLower(h)] {
				t.Errorf("%s: %s is there twice, or every Action takes it", f[0], h)
			}
			seen[strings.ToLower(h)] = true
		}
	}
	order := func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }
	if !slices.IsSortedFunc(names, order) {
		t.Error("the Actions are not in order")
	}
	if len(slices.CompactFunc(names, strings.EqualFold)) < 171 {
		t.Errorf("%d Actions; there were 171", len(names))
	}
}

func TestSpelling(t *testing.T) {
	for action, want := range map[string]string{
		"Originate": "Originate", "originate": "Originate", "SIPPEERS": "SIPpeers", "pjsipnotify": "PJSIPNotify",
		"Frobnicate": "Frobnicate", "": "",
	} {
		if got := Canonical(action); got != want {
			t.Errorf("%q is spelled %q, want %q", action, got, want)
		}
	}
}

// It is asked for every request.
func TestSpelling_OfARightNameAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Canonical("QueueStatus") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRead(t *testing.T) {
	for _, action := range []string{"Ping", "QueueStatus", "coreshowchannels", "PJSIPShowEndpoints", "DBGet"} {
		if !Read(action) {
			t.Errorf("%s is no read", action)
		}
	}
	// What can change something by one of its headers is none, nor what is not known.
	for _, action := range []string{
		"Originate", "Command", "Getvar", "Status", "Setvar", "PJSIPQualify", "SIPqualifypeer", "WaitEvent", "Filter",
		"DBDel", "UserEvent", "Frobnicate", "",
	} {
		if Read(action) {
			t.Errorf("%s is a read", action)
		}
	}
}

func BenchmarkSpelling(b *testing.B) {
	for b.Loop() {
		Canonical("WaitEvent")
	}
}
