// Package clock has what time means to the bridge: the wall clock is told and decides
// nothing, a Sum says when the log tells of a count that grows.
package clock
