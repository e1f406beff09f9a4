// Package amisim is a simulated Asterisk: enough of the server side of AMI to
// test a client of it to the last fault, and to show and measure one under
// call traffic.
//
// A [Server] does what manager.c does with a session: banner, login both ways,
// one action at a time in the order they came while the session's events wait,
// lists in the modern and the old form, and a cut after the write timeout. A
// [Fault] takes over at any action, or before the banner, and has the whole
// connection to misbehave with. A [Network] carries it all in memory, also
// inside a testing/synctest bubble. [Server.RunTraffic] makes calls; the channels of a
// [Floor] begin, change, masquerade and end as a test has them, with events or silently, and
// their list may lag.
//
// It is not a PBX: no call is made, actions that change a PBX are only
// acknowledged, and a user who is logged in may do everything.
//
// All methods of Server and Network may be called concurrently. Those of
// Session belong to the Fault that was handed it, except Close and Abort.
// Goroutines are two a session and two a Serve, joined before Serve returns.
package amisim
