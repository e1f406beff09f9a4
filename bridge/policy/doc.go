// Package policy decides which Actions a caller may ask for, from their name and the
// headers that would be written, and how often. It looks at what Asterisk would read,
// not at what was meant. docs/policy.md and docs/policy-rules.md are its pages.
//
// It knows no configuration and no server: New takes the lists, which do not change.
// It starts no goroutine. Policy.Refuses and Limiter.Allow are what crosses its seam.
package policy
