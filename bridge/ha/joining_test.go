package ha

import (
	"testing"
	"time"
)

// However many servers are joining, and however often they wish for one, no more than pingRate
// Pings a second are asked, each server has its share of them, and few have all they wish for.
func TestPing_SoManyASecond(t *testing.T) {
	for _, test := range []struct{ servers, wishes, least, most int }{
		{1, 1, 19, 20}, {20, 1, 19, 20}, {20, 2, 19, 20}, {1000, 1, 1, 1}, {1000, 3, 0, 1}, {200, 2, 2, 3},
	} {
		n, asked, all := &Node{}, make([]int, test.servers), 0
		servers := make([]*server, test.servers)
		for i := range servers {
			servers[i] = &server{}
			servers[i].link.Store(&link{ping: func() { asked[i]++; all++ }})
		}
		now := time.Unix(100, 0)
		pass := func(d time.Duration) {
			clear(asked)
			all = 0
			for end := now.Add(d); now.Before(end); now = now.Add(tick) {
				n.pings.tick()
				for range test.wishes {
					for _, s := range servers {
						n.ping(s, now)
					}
				}
			}
		}
		pass(tick) // nobody knows yet how many wish
		pass(5 * time.Second)
		for i, n := range asked {
			if n < 5*test.least || n > 5*test.most+1 {
				t.Fatalf("%+v: of server %d %d are asked in five seconds", test, i, n)
			}
		}
		if all > 6*pingRate {
			t.Errorf("%+v: %d in five seconds", test, all)
		}
	}
}
