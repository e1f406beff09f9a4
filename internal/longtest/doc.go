// Package longtest says which tests go test -short leaves out, and why.
package longtest
