// Package name reads the names of Actions, servers and headers from texts that callers
// write, each in one place: so a name that one package takes no other refuses.
//
// It does not know which Actions Asterisk has: package catalog does. It starts no
// goroutine; its functions may be called from any.
package name
