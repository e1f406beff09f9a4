package deque

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestDeque_MatchesASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d Deque[int]
		var model []int
		t.Repeat(map[string]func(*rapid.T){
			"back":  func(t *rapid.T) { v := rapid.Int().Draw(t, "v"); d.PushBack(v); model = append(model, v) },
			"front": func(t *rapid.T) { v := rapid.Int().Draw(t, "v"); d.PushFront(v); model = slices.Insert(model, 0, v) },
			"pop": func(t *rapid.T) {
				if len(model) == 0 {
					return
				}
				if got := d.PopFront(); got != model[0] {
					t.Fatalf("popped %d, want %d", got, model[0])
				}
				model = model[1:]
			},
			"pop back": func(t *rapid.T) {
				if len(model) == 0 {
					return
				}
				last := len(model) - 1
				if got := d.PopBack(); got != model[last] {
					t.Fatalf("popped %d, want %d", got, model[last])
				}
				model = model[:last]
			},
			"": func(t *rapid.T) {
				for i, v := range model {
					if *d.At(i) != v {
						t.Fatalf("at %d: %d, want %d", i, *d.At(i), v)
					}
				}
			},
		})
	})
}
