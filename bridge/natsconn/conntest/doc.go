// Package conntest has connections for the tests of other packages.
package conntest
