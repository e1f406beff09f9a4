// Package fairness keeps one noisy server from starving the others. A Scheduler shares
// the way out among many sources, by bytes. A Gate shares the way in among many that
// want to connect, by turns and by a rate.
//
// It knows no AMI and no NATS, and moves nothing itself: who has its turn does. It starts
// no goroutine; a Gate has timers. Both may be used by any number of goroutines.
package fairness
