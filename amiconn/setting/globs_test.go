package setting

import "testing"

// Globs on Actions ignore case, and the first that matches is the one named.
func TestGlobs_IgnoreCase(t *testing.T) {
	g := Globs{"queue*", "Originate:SHELL", "[HJ]angup", "Core?tatus"}
	for name, want := range map[string]string{
		"QueueStatus": "queue*", "QUEUES": "queue*", "originate:shell": "Originate:SHELL", "HANGUP": "[HJ]angup", "coreStatus": "Core?tatus",
		"Ping": "", "Originate": "", "CoreSettings": "",
	} {
		if got := g.Find(name); got != want || g.Match(name) != (want != "") {
			t.Errorf("%s is matched by %q, want %q", name, got, want)
		}
	}
	var read Globs
	if err := read.Decode(" Queue*, ,Hangup,"); err != nil || read.String() != "Queue*,Hangup" {
		t.Errorf("read as %q, %v", read, err)
	}
	if err := read.Decode("a,[b"); err == nil || read.String() != "Queue*,Hangup" {
		t.Errorf("what is no pattern gives %q, %v", read, err)
	}
}
