// Package takeover tests Actions while one bridge takes over from another: what is asked for
// reaches Asterisk once at most, whoever dies when, and is replied to once.
package takeover
