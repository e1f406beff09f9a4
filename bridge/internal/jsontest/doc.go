// Package jsontest compares what a test has decoded from JSON with what it wants.
package jsontest
