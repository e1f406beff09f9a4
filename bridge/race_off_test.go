//go:build !race

package bridge

// poolsLose is 1: what is allocated counts as it is.
const poolsLose = 1
