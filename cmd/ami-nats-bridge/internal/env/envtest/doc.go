// Package envtest sets the environment of tests.
package envtest
