package schemas

import (
	"fmt"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// A standby that is joining may say why, and one that is apart says it.
func TestSchemas_WhoIsNotInSyncMaySayWhy(t *testing.T) {
	t.Parallel()
	schema := harness.Schemas(t)["ha"]
	for standby, want := range map[string]bool{
		`"state":"joining"`: true, `"state":"joining","reason":"alike"`: true, `"state":"apart","reason":"differs"`: true, `"state":"in_sync"`: true,
		`"state":"apart"`: false, `"state":"in_sync","reason":"alike"`: false,
	} {
		text := fmt.Sprintf(`{"server":"pbx1","node":"b1","at":"2026-11-30T10:00:00.000000Z","trigger":"interval","leader":"b1","term":1,
			"since":"2026-11-30T10:00:00.000000Z","reason":"start","standbys":[{"node":"b2",%s,"lag":null,"lag_s":null}]}`, standby)
		if err := schema.Validate(harness.Document(t, []byte(text))); (err == nil) != want {
			t.Errorf("%s: %v", standby, err)
		}
	}
}
