// Package jsontext appends members of JSON objects to bytes, without an allocation for
// each.
//
// It reads no JSON. It starts no goroutine; its functions keep nothing.
package jsontext
