// Command ami-nats-bridge turns Asterisk servers into NATS subjects.
//
// It reads the environment, makes a logger that never blocks, starts an
// embedded nats-server where none is configured, and runs bridge.Bridge until
// a signal comes. The other subcommands look at a configuration or use a
// running bridge over NATS. It holds no logic of the bridge itself.
package main
