// Package core is one AMQP 0.9.1 connection to RabbitMQ and its channels:
// everything of the protocol, and nothing that comes back by itself. Package
// recovery, and the publisher and consumer above it, are made of it.
//
// A [Conn] and a [Channel] are born once, by [Dial] and [Conn.Channel], and die
// once, with one cause, which their Err tells and their Done announces. What
// belonged to them dies with them: a [Delivery] of a dead channel refuses to be
// settled, a publish without a verdict is [OutcomeNotSent] or [OutcomeUnknown]. A program that wants
// to go on opens a new one.
//
// All methods are safe for concurrent use. Every wait ends with its context or
// at a limit of [Config]. Every buffer is bounded, and says what happens when
// it is full. Bad input is refused with a [*ValidationError] before a byte of
// it is sent. Nothing that the caller passes is kept or changed.
//
// # Errors
//
//   - [*DialError] from Dial and [Open], around the cause: a network or TLS
//     error, an [*Error] of the server, [ErrAuth], [ErrNoMechanism], [ErrTimeout].
//   - [*Error] when a channel or connection ends with a reply code. Look for one
//     with errors.Is(err, core.ErrNotFound); its Scope says what has ended, its
//     Recoverable whether trying again may help.
//   - [ErrClosed] for what the application closed, [ErrTimeout] for an answer
//     that did not come, [ErrSilent] for a peer that vanished, [ErrLost] for a
//     connection that the network, or the server without a word, has ended.
//   - [ErrStale] and [ErrSettled] from settling a delivery; [ErrCancelled] and
//     [ErrOverflow] from a [Consumer] that ended without its channel.
//   - [*OutcomeError] from [Verdict.Err], for a publish that was not confirmed.
//   - The cause of a context that ended ([context.Cause]).
//
// # During a memory or disk alarm
//
// RabbitMQ announces the alarm to connections that publish, and stops reading
// from them. Publishes then wait, within their context; acks and calls are
// queued, and answered when the alarm ends; calls, and the close of a channel,
// give up after the limit of an answer. The connection is kept for as long as
// heartbeats come. [Conn.Close] takes at most its timeout.
package core
