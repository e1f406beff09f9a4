// Package costtest measures what code allocates, for tests. Others in the process,
// such as a nats-server, can only add to a measurement: so each is the least of
// several.
package costtest
