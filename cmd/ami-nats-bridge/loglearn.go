package main

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// maxLearned is how many secrets are remembered that became known while the
// process ran. With more the oldest of those are forgotten.
const maxLearned = 1000

// learned are all secrets that are known by heart, once one has become known
// after the start: a new one may hold an old one. It is safe for concurrent use.
type learned struct {
	literals atomic.Pointer[strings.Replacer] // nil until then

	mu      sync.Mutex // protects the following
	secrets []string
	first   int // how many of them were known at the start
}

// learn makes the redactor hide secret too from now on.
func (r *redactor) learn(secret string) {
	if len(secret) < minLiteral || r.known(secret) == redacted {
		return
	}
	r.later.mu.Lock()
	defer r.later.mu.Unlock()
	if slices.Contains(r.later.secrets, secret) {
		return
	}
	r.later.secrets = append(r.later.secrets, secret)
	if len(r.later.secrets) > r.later.first+maxLearned {
		r.later.secrets = slices.Delete(r.later.secrets, r.later.first, r.later.first+1)
	}
	r.later.literals.Store(spelled(r.later.secrets))
}
