// Package asterisk holds the configuration that the integration tests run a real Asterisk with, and the
// script that installs one (install.sh). It is not a client and starts nothing; realasterisk does.
// It has no state and is safe for concurrent use.
package asterisk

import "embed"

// Etc holds the folder etc: text/template files for one Asterisk, rendered by realasterisk.
// Their fields are Address, the loopback address to listen on, and Home, the instance's folder as
// Asterisk sees it. Ports are fixed, because every instance has an address of its own.
//
//go:embed etc
var Etc embed.FS
