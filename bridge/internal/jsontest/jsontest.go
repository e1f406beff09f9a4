package jsontest

import (
	"fmt"
	"testing"
)

// Says reports what of body is not as want has it. Keys that want has not are not
// looked at.
func Says(t *testing.T, body, want map[string]any) {
	t.Helper()
	for key, value := range want {
		if fmt.Sprint(body[key]) != fmt.Sprint(value) {
			t.Errorf("%s is %v, want %v", key, body[key], value)
		}
	}
}
