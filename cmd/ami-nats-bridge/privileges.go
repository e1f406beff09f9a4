package main

import "strings"

// classActions names Actions that need exactly one class of manager.conf's
// write= (manager.c, the modules' ast_manager_register calls). A user who may
// send none of them lacks the class.
var classActions = []struct {
	class   string
	actions []string
}{
	{"system", []string{"DBPut", "DBDel", "ModuleCheck", "MuteAudio"}},
	{"call", []string{"Redirect", "Atxfer", "BlindTransfer", "Setvar"}},
	{"command", []string{"Command"}},
	{"agent", []string{"QueueAdd", "QueuePause", "AgentLogoff"}},
	{"user", []string{"UserEvent"}},
	{"config", []string{"UpdateConfig", "ListCategories"}},
	{"reporting", []string{"ConfbridgeList", "FAXStats", "MeetmeList"}},
	{"originate", []string{"Originate"}},
	{"agi", []string{"AGI"}},
	{"message", []string{"MessageSend"}},
}

// missingClasses returns the write classes that a user lacks who may send these
// Actions, as ListCommands names them.
func missingClasses(permitted []field) string {
	may := make(map[string]bool, len(permitted))
	for _, f := range permitted {
		may[f.Name] = true
	}
	var missing []string
	for _, c := range classActions {
		found := false
		for _, action := range c.actions {
			found = found || may[action]
		}
		if !found {
			missing = append(missing, c.class)
		}
	}
	return strings.Join(missing, ", ")
}
