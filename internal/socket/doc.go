// Package socket reads and writes TCP connections without telling the Go scheduler.
//
// The runtime tells its monitor thread of each system call that may block, and wakes it up
// for the first one after a rest; it then looks around each 20 µs for as long as
// anything runs. What comes one at a time pays for that each time. A call on a socket that
// does not block needs no monitor: waiting is the network poller's, as ever. What else
// the monitor does, such as to take a goroutine off the CPU that computes for long, waits
// for a timer or for another system call.
//
// It owns no goroutine.
package socket
