package streams

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Another stream of events counts for as long as it is known to store some, and is nobody else's difference.
func TestStreams_AnotherOfTheNameElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := lookedAt(t)
		named := func(stream string) []Difference {
			return k.nameElsewhere(jetstream.StreamConfig{Subjects: []string{"ami.>"}}, jetstream.StreamConfig{Name: stream, Subjects: []string{"ami.events.>"}}, nil)
		}
		for domain, want := range map[string]string{"hub": `of the JetStream domain "hub", has them too`, "": "without a JetStream domain, has them too"} {
			if all := named(EventStream); len(all) > 0 {
				t.Errorf("nothing stored: %+v", all)
			}
			k.StoredIn(domain)
			if len(k.poke) != 1 {
				t.Error("nobody looks")
			}
			<-k.poke
			time.Sleep(reportedFor - 1)
			k.StoredIn(domain)
			if len(k.poke) != 0 {
				t.Error("it is looked at for each")
			}
			time.Sleep(reportedFor - 1)
			if all := named(EventStream); len(all) != 1 || !all[0].Loses || !strings.Contains(all[0].Left, want) {
				t.Errorf("%+v, want %q", all, want)
			}
			if all := named(AuditStream); len(all) > 0 {
				t.Errorf("%+v", all)
			}
			time.Sleep(time.Nanosecond)
		}
	})
}
