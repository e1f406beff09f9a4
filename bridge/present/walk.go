package present

import (
	"iter"
	"time"
)

// walk has visit see each object of l, a chunk under each hold of the lock. What begins
// meanwhile is not seen.
func (p *Present) walk(l List, now time.Time, visit func(o *object) (more bool)) {
	for i := -1; i != 0; {
		p.enter(now)
		i = p.step(l, i, visit)
		p.mu.Unlock()
	}
}

// step has visit see a chunk of l's objects, those before the one at i, -1 for the
// first time, and returns the next i: 0 when all were seen, or visit wants no more. It
// goes from the end on, so that what takes the place of one that ends was seen. p is
// locked.
func (p *Present) step(l List, i int, visit func(o *object) (more bool)) int {
	if n := len(p.lists[l].objects); i < 0 || i > n {
		i = n
	}
	for range min(chunk, i) {
		i--
		if all := p.lists[l].objects; i < len(all) && !visit(all[i]) {
			return 0
		}
	}
	return i
}

// All yields the key and the value of each object that is up, as Take would have them:
// what the bucket has once all is written. A chunk is copied under the lock and yielded
// without it, so who takes long holds nobody up; what begins, changes or ends meanwhile
// may be missing, old, or come twice. A value is good until the next is yielded.
func (p *Present) All() iter.Seq2[string, []byte] {
	return func(yield func(key string, value []byte) bool) {
		var keys []string
		var ends []int // of each value
		var values []byte
		for l := range Lists {
			for i := -1; i != 0; {
				keys, ends, values = keys[:0], ends[:0], values[:0]
				p.mu.Lock()
				i = p.step(l, i, func(o *object) bool {
					p.scratch = packed(appendKey(p.scratch[:0], p.opts.Server, o.kind, o.index))
					values = o.appendValue(values)
					keys, ends = append(keys, string(p.scratch)), append(ends, len(values))
					return true
				})
				p.mu.Unlock()
				began := 0
				for n, key := range keys {
					if !yield(key, values[began:ends[n]:ends[n]]) {
						return
					}
					began = ends[n]
				}
			}
		}
	}
}
