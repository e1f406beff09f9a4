package standby

import (
	"cmp"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// ranked is a node with what it draws for a server.
type ranked struct {
	node  string
	score uint64
}

// score is the best of as many draws as the node has weight: rendezvous hashing in
// whole numbers, so that every machine ranks alike. A node that comes or goes moves
// only what it wins or had won.
func score(server, node string, weight int) (best uint64) {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(server)
	_, _ = d.WriteString(".")
	_, _ = d.WriteString(node)
	for h := d.Sum64(); weight > 0; weight-- {
		h += 0x9e3779b97f4a7c15 // splitmix64, whose every state is another draw
		z := h
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		best = max(best, z^z>>31)
	}
	return best
}

// byScore orders nodes by what they drew, the best first.
func byScore(a, b ranked) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.node, b.node))
}

// ListHash is the hash of a list of servers, in whatever order.
func ListHash(servers []string) Sum {
	var sum uint64
	for _, s := range servers {
		sum += xxhash.Sum64String(s)
	}
	return Sum(sum)
}

// GroupsHash is the hash of groups and what they are of; never 0.
func GroupsHash(groups map[string][]string) Sum {
	all := []string{""}
	for name, servers := range groups {
		all = append(all, name+"="+strings.Join(servers, ","))
	}
	return ListHash(all)
}
