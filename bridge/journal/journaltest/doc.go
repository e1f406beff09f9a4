// Package journaltest has a journal for the tests of those who write into one.
package journaltest
