package topology

import (
	"fmt"
	"maps"
	"time"
)

// Arg sets arguments of a queue or an exchange: see [Queue.With],
// [Exchange.With] and [Arguments]. Those that have no function here are set with
// [Argument].
type Arg func(Table)

// Arguments returns a table of arguments.
func Arguments(args ...Arg) Table {
	t := Table{}
	for _, a := range args {
		a(t)
	}
	return t
}

// With returns a copy of the queue with further arguments.
func (q Queue) With(args ...Arg) Queue {
	q.Arguments = with(q.Arguments, args)
	return q
}

// With returns a copy of the exchange with further arguments.
func (e Exchange) With(args ...Arg) Exchange {
	e.Arguments = with(e.Arguments, args)
	return e
}

func with(t Table, args []Arg) Table {
	c := t.Clone()
	if c == nil {
		c = Table{}
	}
	maps.Copy(c, Arguments(args...))
	return c
}

// Argument sets any argument, for instance one of a plugin; see core/wire for
// the Go types that there are.
func Argument(key string, value any) Arg { return func(t Table) { t[key] = value } }

// MessageTTL is how long a message stays in the queue before it is
// dead-lettered or dropped; at most 3650 days. Not for streams: [MaxAge].
func MessageTTL(d time.Duration) Arg { return Argument("x-message-ttl", milliseconds(d)) }

// Expires deletes the queue when it was unused for so long, that is had no
// consumer, no basic.get and no declaration; above 0, at most 3650 days.
func Expires(d time.Duration) Arg { return Argument("x-expires", milliseconds(d)) }

// MaxLength is how many messages the queue holds; see [Overflow]. Not for streams.
func MaxLength(messages int64) Arg { return Argument("x-max-length", messages) }

// MaxLengthBytes is how many bytes of message bodies the queue or stream holds.
func MaxLengthBytes(bytes int64) Arg { return Argument("x-max-length-bytes", bytes) }

// What happens to a message that finds the queue full, for [Overflow].
const (
	DropHead         = "drop-head"          // the oldest goes; the default
	RejectPublish    = "reject-publish"     // it is refused: the publisher gets a nack
	RejectPublishDLX = "reject-publish-dlx" // and dead-lettered; classic queues only
)

// Overflow is one of the behaviours above.
func Overflow(behaviour string) Arg { return Argument("x-overflow", behaviour) }

// DeadLetter names the exchange for messages that expire, are rejected, or
// give way to others, and keeps their routing key.
func DeadLetter(exchange string) Arg { return Argument("x-dead-letter-exchange", exchange) }

// DeadLetterRoutingKey is [DeadLetter] with a routing key of its own.
func DeadLetterRoutingKey(exchange, key string) Arg {
	return func(t Table) { t["x-dead-letter-exchange"], t["x-dead-letter-routing-key"] = exchange, key }
}

// DeadLetterAtLeastOnce makes a quorum queue keep a message until the
// dead-letter exchange's queues have it. RabbitMQ falls back to at most once
// unless the queue has [DeadLetter] and [Overflow]([RejectPublish]).
func DeadLetterAtLeastOnce() Arg { return Argument("x-dead-letter-strategy", "at-least-once") }

// DeliveryLimit is how many failed deliveries of a message a quorum queue takes; at
// the next one it is dead-lettered, or dropped if the queue has no [DeadLetter]. RabbitMQ 4.0 and later:
// default [DefaultDeliveryLimit], negative is no limit; before, there is none by default.
//
// What counts: basic.reject with requeue, and whatever the end of a channel or
// connection returns. basic.nack with requeue and basic.recover count before RabbitMQ 4.3 only.
func DeliveryLimit(n int64) Arg { return Argument("x-delivery-limit", n) }

// SingleActiveConsumer gives the messages to one consumer at a time, the next
// one taking over. Not for streams.
func SingleActiveConsumer() Arg { return Argument("x-single-active-consumer", true) }

// MaxPriority gives a classic queue priorities from 0 to n. Few are enough:
// each costs memory and time.
func MaxPriority(n uint8) Arg { return Argument("x-max-priority", int64(n)) }

// MaxAge is how long a stream keeps messages, at least; whole seconds, rounded up.
func MaxAge(d time.Duration) Arg {
	return Argument("x-max-age", fmt.Sprintf("%ds", roundUp(d, time.Second)))
}

// MaxSegmentBytes is the size of a stream's files, the unit in which it drops
// messages; at most 3,000,000,000.
func MaxSegmentBytes(bytes int64) Arg { return Argument("x-stream-max-segment-size-bytes", bytes) }

// InitialGroupSize is how many replicas a quorum queue begins with.
func InitialGroupSize(n int64) Arg { return Argument("x-quorum-initial-group-size", n) }

// InitialClusterSize is how many replicas a stream begins with.
func InitialClusterSize(n int64) Arg { return Argument("x-initial-cluster-size", n) }

// Where the leader of a queue is put, for [LeaderLocator].
const (
	ClientLocal = "client-local" // on the node of this connection; the default
	Balanced    = "balanced"     // on one with few leaders
)

// LeaderLocator is one of the places above.
func LeaderLocator(place string) Arg { return Argument("x-queue-leader-locator", place) }

// ConsumerTimeout is how long a quorum queue waits for an ack; RabbitMQ 4.3.
func ConsumerTimeout(d time.Duration) Arg { return Argument("x-consumer-timeout", milliseconds(d)) }

// AlternateExchange names the exchange for messages that this exchange
// cannot route.
func AlternateExchange(name string) Arg { return Argument("alternate-exchange", name) }

func milliseconds(d time.Duration) int64 { return roundUp(d, time.Millisecond) }

// roundUp counts units in d, so that a positive time never becomes zero.
func roundUp(d, unit time.Duration) int64 {
	n := int64(d / unit)
	if d%unit > 0 {
		n++
	}
	return n
}
