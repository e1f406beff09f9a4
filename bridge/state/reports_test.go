package state

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// Of many refusals one is told now and then; that others are stored meanwhile is no news.
func TestReports_ARefusalIsNotTakenBackAtOnce(t *testing.T) {
	var told []string
	r := reports{to: func(err error) { told = append(told, fmt.Sprint(err)) }, calm: 20 * time.Second}
	began, full := time.Now(), errors.New("full")
	for _, step := range []struct {
		at  time.Duration
		err error
	}{{0, nil}, {time.Second, full}, {2 * time.Second, full}, {3 * time.Second, nil}, {7 * time.Second, full}, {22 * time.Second, nil}, {27 * time.Second, nil}} {
		r.taken(step.err, began.Add(step.at))
	}
	if got := fmt.Sprint(told); got != "[<nil> full full <nil>]" {
		t.Error(got)
	}
}
