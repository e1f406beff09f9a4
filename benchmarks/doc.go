// Package benchmarks compares the bridge with other ways to do its work, always
// within one run. It is a module of its own, so that what it compares with is
// no dependency of the bridge.
//
//	go test -run TestRatios -v .
package benchmarks
