//go:build race

package costtest

// poolsLose is how much more is allocated since a sync.Pool, such as those of
// regexp and encoding/json, forgets at random under the race detector.
const poolsLose = 100
