package deque

// Deque is a queue with two ends in a ring that grows as needed and is given
// back when it is empty. Its owner bounds it.
type Deque[T any] struct {
	Ring []T // its length is a power of two
	head int
	n    int
}

const (
	minRing  = 1    // a thousand idle servers have a few of one
	KeptRing = 4096 // a larger ring is given back when it is empty
)

// Len returns how many there are.
func (d *Deque[T]) Len() int { return d.n }

// At returns the i'th from the front.
func (d *Deque[T]) At(i int) *T { return &d.Ring[(d.head+i)&(len(d.Ring)-1)] }

// PushBack puts an item behind the last.
func (d *Deque[T]) PushBack(v T) {
	d.grow()
	d.n++
	*d.At(d.n - 1) = v
}

// PushFront puts an item before the first.
func (d *Deque[T]) PushFront(v T) {
	d.grow()
	d.head = (d.head - 1) & (len(d.Ring) - 1)
	d.n++
	*d.At(0) = v
}

// PopFront takes the first out; there must be one.
func (d *Deque[T]) PopFront() T {
	var none T
	first := d.At(0)
	v := *first
	*first = none
	d.head = (d.head + 1) & (len(d.Ring) - 1)
	d.shrink()
	return v
}

// PopBack takes the last out; there must be one.
func (d *Deque[T]) PopBack() T {
	var none T
	last := d.At(d.n - 1)
	v := *last
	*last = none
	d.shrink()
	return v
}

// shrink counts one less.
func (d *Deque[T]) shrink() {
	if d.n--; d.n == 0 && len(d.Ring) > KeptRing {
		d.Ring, d.head = nil, 0
	}
}

func (d *Deque[T]) grow() {
	if d.n < len(d.Ring) {
		return
	}
	ring := make([]T, max(minRing, 2*len(d.Ring)))
	for i := range d.n {
		ring[i] = *d.At(i)
	}
	d.Ring, d.head = ring, 0
}
