package asterisk

import "embed"

// Etc holds the folder etc: text/template files for one Asterisk, rendered by realasterisk.
// Their fields are Address, the loopback address to listen on, and Home, the instance's folder as
// Asterisk sees it. Ports are fixed, because every instance has an address of its own.
//
//go:embed etc
var Etc embed.FS
