package replay

import (
	"fmt"
	"testing"
	"time"
)

// What is selected and not there is named, also where there are more subjects than
// NATS lists.
func TestUnmatched(t *testing.T) {
	for _, many := range []int{0, 1100} {
		b := newBench(t)
		for _, server := range []string{"pbx1", "lab"} {
			b.tick(server, "Hangup", time.Now())
		}
		b.tick("quiet", "Newchannel", time.Now()) // has nothing common
		for i := range many {
			b.tick("pbx1", fmt.Sprintf("Odd%d", i), time.Now())
		}
		sel := Selection{
			Prefix: "ami", Kind: "events", Servers: []string{"pbx7", "pbx?", "quiet", "x*"}, Names: []string{"hangup", "Newchannel", "H*"},
		}
		u, err := b.source("AMI_EVENTS").Unmatched(t.Context(), &sel)
		servers, known := "[pbx7 x*]", "[lab pbx1 quiet] [Hangup Newchannel]"
		if many > 0 {
			servers, known = "[pbx7]", "[lab pbx1] [Hangup]"
		}
		if err != nil || fmt.Sprint(u.Servers) != servers || fmt.Sprint(u.Names) != "[hangup]" || fmt.Sprint(u.KnownServers, u.KnownNames) != known {
			t.Errorf("with %d more: %+v, %v", many, u, err)
		}
	}
}
