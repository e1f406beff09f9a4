package main

import "testing"

func TestMissingClasses_NamesWhatNoPermittedActionNeeds(t *testing.T) {
	var permitted []field
	for _, name := range []string{"Response", "ActionID", "ConfbridgeList", "Originate", "Redirect", "CoreStatus", "QueueStatus"} {
		permitted = append(permitted, field{Name: name})
	}
	if got, want := missingClasses(permitted), "system, command, agent, user, config, agi, message"; got != want {
		t.Errorf("missing %q, want %q", got, want)
	}
}
