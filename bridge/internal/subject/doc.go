// Package subject makes the subjects of one server's events and states.
//
// It subscribes to nothing and publishes nothing. It starts no goroutine. A Subjects
// belongs to the goroutine that asks it for the subjects of events.
package subject
