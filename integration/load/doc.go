// Package load tests the bridge under load, and measures it: what it takes,
// what it costs, and what has to hold whatever comes.
package load
