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
		if f.wait(short) {
			t.Error("wait returned true with three inside")
		}
		if !f.wait(t.Context()) {
			t.Error("wait returned false although all left")
		}
		group.Wait()
	})
}
