// Package deque is a queue with two ends.
package deque
