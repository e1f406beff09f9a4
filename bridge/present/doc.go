// Package present holds what is up at one Asterisk now: its channels, bridges, queues
// with their members and callers, parked calls, conferences, agents, hints and
// registrations. Frames go in, objects come out: flat JSON by key, for a key-value
// bucket. docs/design.md, "The present", has the model and the rule in short.
//
// Events make it and lists make it right. Reduce takes each event of the event
// session, before filters and shedding, and stamps what it touches with its number.
// A list comes by another session at another pace, so Begin takes the watermark, the
// number of the last event that was seen, before the list's Action is queued. What
// the list says of an object is then at least as new as that event: Apply takes it
// for objects that no later event touched, and ends what is not listed. What a later
// event touched stays as events made it. Neither needs a clock.
//
// Only a beginning begins: events about a channel still come after its Hangup, and
// names of devices are without bound. What events say of an object that nothing has
// begun is kept only while its list is under way, to be laid over the list's item.
//
// It is not the writer and not the driver: it knows no NATS, no session and no
// timer. Who drives it asks for what is Due, one list at a time, and hands the parts
// to a Run. Who writes takes what is due by Take, at most one write of a key at a
// time, and tells Done. What waits is a set of objects, not a queue of messages, so
// NATS away costs no memory beyond the objects.
//
// Concurrency: it starts no goroutine. One mutex guards it, held only for work in
// memory and never across a wait: for one event, for 64 objects of a list, for one
// value to write. So the goroutine that reads events may call Reduce while another
// applies a list and a third takes values. A Run's Part takes no lock; a Run belongs
// to one goroutine at a time.
//
// What crosses the seam: frames.Frame and the JSON of a list's events in, neither
// kept; Write, Counts and the server's value out, all of them copies. Secrets stay
// outside: a value has no field that kinds.go does not name.
package present
