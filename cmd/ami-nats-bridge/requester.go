package main

import (
	"cmp"
	"os"
	"os/user"
	"strconv"
)

// requester is who sits at the shell, for the audit: the user, also behind sudo,
// at this machine.
func requester() string {
	name := os.Getenv("SUDO_USER")
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	name = cmp.Or(name, os.Getenv("USER"), "uid "+strconv.Itoa(os.Getuid()))
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
