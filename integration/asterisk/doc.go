// Package asterisk holds the configuration that the integration tests run a real Asterisk with, and the
// script that installs one (install.sh). It is not a client and starts nothing; realasterisk does.
// It has no state and is safe for concurrent use.
package asterisk
