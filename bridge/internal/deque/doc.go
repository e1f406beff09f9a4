// Package deque is a queue with two ends, in one ring of memory.
//
// It has no bound: whoever pushes keeps one. It has no lock and starts no goroutine: a
// Deque belongs to whoever guards it.
package deque
