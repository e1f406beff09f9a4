//go:build !race

package costtest

// poolsLose is 1: what is allocated counts as it is.
const poolsLose = 1
