package present

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/pagetest"
)

// The pages say what the code does.
func TestDocs_BoundsOfThePresent(t *testing.T) {
	pagetest.Limits(t, map[string]int{"maxField": maxField, "maxRecent": maxRecent, "maxDue": maxDue})
	pagetest.Says(t, "design", fmt.Sprintf("%d bytes an object included", objectBytes),
		fmt.Sprintf("asked for within %s", pagetest.Seconds(tombstoneAge)))
}

// docs/state.md has the model: each kind with its fields, in their order.
func TestDocs_TheModel(t *testing.T) {
	var rows []string
	for k := range Kinds {
		var names []string
		for _, f := range kinds[k].fields {
			names = append(names, f.name)
		}
		rows = append(rows, " | "+strings.Join(names[:kinds[k].ids], ", ")+" | "+strings.Join(names, ", ")+" | ")
	}
	pagetest.Says(t, "state", rows...)
}
