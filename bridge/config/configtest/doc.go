// Package configtest has configurations for the tests of other packages.
package configtest
