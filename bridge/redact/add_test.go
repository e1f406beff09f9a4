package redact

import (
	"fmt"
	"testing"
)

// What becomes known later is hidden from then on, a new secret that holds an
// old one as a whole; those of the start are never forgotten.
func TestRedactor_Add(t *testing.T) {
	r := New(Options{Known: []string{"s3cret", "abc"}})
	r.Add("s3cret-new", "abc")
	if got, want := r.Known("a s3cret-new and s3cret and abc"), "a "+Hidden+" and "+Hidden+" and abc"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var later []string
	for n := range maxLearned + 10 {
		later = append(later, fmt.Sprint("later-", n, "."))
	}
	r.Add(later[:10]...)
	r.Add(later[10:]...)
	last := fmt.Sprint("later-", maxLearned+9, ".")
	if got, want := r.Known("s3cret later-0. "+last), Hidden+" later-0. "+Hidden; got != want || len(r.secrets) != maxLearned+2 {
		t.Errorf("got %q with %d secrets, want %q", got, len(r.secrets), want)
	}
}
