package outbox

import "testing"

// Servers come and go: each has its floor, whatever the others hold, and the total holds.
func TestBudget_IsDividedAnew(t *testing.T) {
	const total = 1 << 20
	budget := NewBudget(total, 1)
	flood := New(total, "gap", budget, func() {})
	for i := 0; flood.Account().Dropped[DropOverflow]+flood.Account().Dropped[DropTotal] == 0; i++ {
		flood.Push(pushed(i), make([]byte, 1000), false)
	}
	held := func(all ...*Outbox) (sum int64) {
		for _, o := range all {
			sum += o.Account().Bytes
		}
		return sum
	}

	budget.Divide(4)
	later := []*Outbox{flood}
	for range 3 {
		o := New(total, "gap", budget, func() {})
		later = append(later, o)
		for i := range 100 {
			o.Push(pushed(i), make([]byte, 1000), false)
		}
		if a := o.Account(); a.Queued != 100 {
			t.Errorf("beside a flood that was there before it holds %d of 100 events", a.Queued)
		}
	}
	flood.Push(pushed(0), make([]byte, 1000), false) // it gets no more, and drops of its own
	for i := range 2000 {
		flood.Push(pushed(i), make([]byte, 1000), false)
	}
	if sum := held(later...); sum > total+total/8+gapBytes {
		t.Errorf("all hold %d of %d", sum, total)
	}
	for _, o := range later {
		drain(t, o)
	}
	for _, o := range later[1:] {
		o.Leave()
	}
	budget.Divide(1)
	if shared, floor := budget.shared.Load(), flood.floor; shared != total/2 || floor != total/2 || len(budget.members) != 1 {
		t.Errorf("%d are shared, the floor is %d, of %d", shared, floor, len(budget.members))
	}
}
