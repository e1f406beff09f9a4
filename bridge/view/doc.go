// Package view says how the bridges and their servers are: from the messages on the
// status subjects and the objects of the bucket AMI_STATE to one Snapshot, which the
// terminal and the browser paint and which is the JSON of ami-nats-bridge status -o json. So
// all say the same words.
//
// A Model is fed with Status and State, is told the time with Tick, and is
// asked with Snapshot. Who feeds it is a reader on NATS: what comes from several bridges
// at once, the last values first; or a bridge, which feeds what it publishes through the
// same door (package watch), and so sees the same.
//
// It has no goroutine, no network and no clock: the caller gives the time. A Model is
// not safe for concurrent use. All that it keeps is bounded (bounds.go); what goes over
// a bound, or is not what it should be, is ignored and counted. Text that comes from
// Asterisk is cut and made harmless for a terminal as it comes in (clean.go); whoever
// writes HTML escapes it as well.
//
// words.go has the sentences as data, verdict.go the order in which they are chosen.
package view
