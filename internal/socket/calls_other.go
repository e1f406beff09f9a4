//go:build !linux || race

// The race detector is told by package syscall that what was written before a message was sent
// is seen by who has read it.

package socket

import "syscall"

// read is read(2).
func read(fd uintptr, p []byte) (int, syscall.Errno) { return call(syscall.Read, fd, p) }

// write is write(2).
func write(fd uintptr, p []byte) (int, syscall.Errno) { return call(syscall.Write, fd, p) }

func call(do func(int, []byte) (int, error), fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := do(int(fd), p)
		switch errno, _ := err.(syscall.Errno); errno {
		case 0:
			return n, 0
		case syscall.EINTR:
			continue
		default:
			return 0, errno
		}
	}
}
