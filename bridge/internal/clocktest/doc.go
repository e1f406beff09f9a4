// Package clocktest sets wall clocks, for tests.
package clocktest
