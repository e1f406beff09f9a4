package actions

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestFlight_WaitsForAllAndLetsNobodyInOnceClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInFlight()
		var group sync.WaitGroup
		for i := range 3 {
			if !f.enter() {
				t.Fatal("an open flight refused")
			}
			group.Go(func() {
				time.Sleep(time.Duration(i+1) * time.Second)
				f.leave()
			})
		}
		f.close()
		if f.enter() {
			t.Error("a closed flight let one in")
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if n := f.wait(short); n != 3 {
			t.Errorf("wait returned %d with three inside", n)
		}
		if n := f.wait(t.Context()); n != 0 {
			t.Errorf("wait returned %d although all left", n)
		}
		group.Wait()
	})
}
