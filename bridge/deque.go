package bridge

// deque is a queue with two ends in a ring that grows as needed and is given
// back when it is empty. Its owner bounds it.
type deque[T any] struct {
	ring []T // its length is a power of two
	head int
	n    int
}

const (
	minRing  = 64
	keptRing = 4096 // a larger ring is given back when it is empty
)

// at returns the i'th from the front.
func (d *deque[T]) at(i int) *T { return &d.ring[(d.head+i)&(len(d.ring)-1)] }

func (d *deque[T]) pushBack(v T) {
	d.grow()
	d.n++
	*d.at(d.n - 1) = v
}

func (d *deque[T]) pushFront(v T) {
	d.grow()
	d.head = (d.head - 1) & (len(d.ring) - 1)
	d.n++
	*d.at(0) = v
}

// popFront takes the first out; there must be one.
func (d *deque[T]) popFront() T {
	var none T
	first := d.at(0)
	v := *first
	*first = none
	d.head = (d.head + 1) & (len(d.ring) - 1)
	d.n--
	if d.n == 0 && len(d.ring) > keptRing {
		d.ring, d.head = nil, 0
	}
	return v
}

func (d *deque[T]) grow() {
	if d.n < len(d.ring) {
		return
	}
	ring := make([]T, max(minRing, 2*len(d.ring)))
	for i := range d.n {
		ring[i] = *d.at(i)
	}
	d.ring, d.head = ring, 0
}
