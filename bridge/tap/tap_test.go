package tap

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
)

func texts(b *Batch) (all []string) {
	for e := range b.All() {
		all = append(all, fmt.Sprintf("%s %s %d", e.Subject, e.Payload, e.At))
	}
	return all
}

// What comes while somebody looks is there once, in its order; what came before or after is not.
func TestTap(t *testing.T) {
	t.Parallel()
	var tap Tap
	tap.Event("a", []byte("before"), 1)
	if tap.Take() != nil {
		t.Error("there is something, and nobody looks")
	}
	tap.Open()
	tap.Open()
	payload := []byte("{1}")
	tap.Event("a", payload, 2)
	payload[1] = '9' // its memory is used again
	tap.Event("b", []byte("{2}"), 3)
	tap.Close()
	if got := fmt.Sprint(texts(tap.Take())); got != "[a {1} 2 b {2} 3]" {
		t.Error(got)
	}
	if got := texts(tap.Take()); len(got) != 0 {
		t.Errorf("it comes again: %q", got)
	}
	tap.Event("c", []byte("{3}"), 4)
	if got := fmt.Sprint(texts(tap.Take())); got != "[c {3} 4]" {
		t.Error(got)
	}
	tap.Close()
	tap.Event("a", []byte("after"), 1)
	if tap.now != nil || tap.spare != nil || tap.Take() != nil {
		t.Error("nobody looks any more, and it has memory")
	}
}

// What does not fit is counted, and costs no memory: neither many nor large ones.
func TestTap_IsBounded(t *testing.T) {
	t.Parallel()
	var tap Tap
	tap.Open()
	for range tapEvents + 7 {
		tap.Event("a", []byte("x"), 0)
	}
	if b := tap.Take(); len(b.events) != tapEvents || b.Missed() != 7 {
		t.Errorf("%d events, %d missed", len(b.events), b.Missed())
	}
	large := bytes.Repeat([]byte("x"), tapBytes/2+1)
	for range 3 {
		tap.Event("a", large, 0)
	}
	tap.Event("a", []byte("small"), 0)
	if b := tap.Take(); len(b.events) != 2 || b.Missed() != 2 || cap(b.text) != tapBytes {
		t.Errorf("%d events, %d missed, %d bytes", len(b.events), b.Missed(), cap(b.text))
	}
	if b := tap.Take(); b.Missed() != 0 {
		t.Error("what was missed is counted twice")
	}
}

// An event costs no allocation, whether somebody looks or not.
func TestTap_AllocatesNothing(t *testing.T) {
	var tap Tap
	payload := bytes.Repeat([]byte("x"), 500)
	for _, looks := range []bool{false, true} {
		if looks {
			tap.Open()
		}
		if n := testing.AllocsPerRun(2000, func() { tap.Event("ami.events.pbx1.VarSet", payload, 7) }); n != 0 {
			t.Errorf("%v: %v allocations", looks, n)
		}
	}
}

// Whoever reads, opens and takes may do so at once.
func TestTap_Concurrently(t *testing.T) {
	t.Parallel()
	var tap Tap
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 200 {
				tap.Open()
				tap.Event("a", []byte("x"), 0)
				tap.Close()
			}
		})
	}
	seen := uint64(0)
	for range 200 {
		if b := tap.Take(); b != nil {
			seen += b.Missed()
		}
	}
	if group.Wait(); tap.looks != 0 || tap.now != nil {
		t.Errorf("%d look", tap.looks)
	}
}

func BenchmarkTap(b *testing.B) {
	payload := bytes.Repeat([]byte("x"), 500)
	for _, looks := range []bool{false, true} {
		b.Run(fmt.Sprint(looks), func(b *testing.B) {
			var tap Tap
			if looks {
				tap.Open()
			}
			for i := 0; b.Loop(); i++ {
				if tap.Event("a", payload, 7); looks && i%200 == 0 {
					tap.Take()
				}
			}
		})
	}
}
