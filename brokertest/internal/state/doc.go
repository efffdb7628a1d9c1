// Package state is what a broker knows: virtual hosts with their exchanges, bindings, queues, messages and
// consumers, and the rules by which RabbitMQ 4.3 changes them. It does no I/O, starts no goroutine and reads
// no clock but the one it is given. A [VHost] and all in it is not safe for concurrent use: the broker holds
// its lock.
//
// Every change is made by a method of [VHost], [Queue] or [Consumer]. What follows from it, such as
// deliveries, expiries and dead letters, is done by [VHost.Settle], which the broker calls after each
// method of a client.
package state
