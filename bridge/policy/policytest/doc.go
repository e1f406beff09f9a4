// Package policytest makes and asks policies for the tests of other packages.
package policytest
