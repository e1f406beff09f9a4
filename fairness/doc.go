// Package fairness keeps one noisy server from starving the others: a
// Scheduler shares the way out among many sources by bytes, a Gate shares the
// way in among many that want to connect. It knows no AMI and no NATS.
package fairness
