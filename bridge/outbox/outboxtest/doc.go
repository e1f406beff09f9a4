// Package outboxtest makes and reads outboxes for the tests of other packages.
package outboxtest
