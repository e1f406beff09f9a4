package journal

import "testing"

func TestDocs_ARecordCosts(t *testing.T) {
	if entryBytes != 512 {
		t.Errorf("docs/design.md says 512 bytes a record; it is %d", entryBytes)
	}
}
