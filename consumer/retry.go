package consumer

import (
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/rabbitmq"
	"github.com/warren-mq/warren/topology"
)

// knowledge is what is known of a queue. What nobody has declared here is not known.
type knowledge struct {
	declared     bool // by this client
	classic      bool
	stream       bool
	plain        bool  // it is no stream
	single       bool  // it has a single active consumer
	limit        int64 // failed deliveries that it takes; negative: no limit
	drops        bool  // what goes beyond the limit is gone
	delaysFailed bool  // it delays what failed by itself
	delaysBack   bool  // the same of what is given back
	delayFailed  delay // what it asks to delay of that itself, on a broker that does not
	delayBack    delay
	ackTimeout   time.Duration // 0: the broker's
	counts       bool          // whatever is given back counts as a failed delivery: before RabbitMQ 4.3
}

// know returns what is known of a queue on a broker.
func know(q topology.Queue, declared bool, server core.Server) knowledge {
	major, minor := server.Release()
	k := knowledge{declared: declared, limit: -1}
	args := q.Declare().Arguments
	kind, _ := args["x-queue-type"].(string)
	k.classic = declared && (kind == topology.Classic || kind == "" && (q.Exclusive || q.AutoDelete || q.Transient))
	k.stream = kind == topology.Stream
	k.plain = k.classic || kind != "" && !k.stream
	k.counts = major > 0 && (major < 4 || major == 4 && minor < 3) && !k.classic && !k.stream
	if !declared {
		return k
	}
	k.single, _ = args["x-single-active-consumer"].(bool)
	if n, ok := rabbitmq.Integer(args["x-consumer-timeout"]); ok && n > 0 {
		k.ackTimeout = time.Duration(n) * time.Millisecond
	}
	if kind != topology.Quorum {
		return k
	}
	_, limited := rabbitmq.Integer(args["x-delivery-limit"])
	k.limit, k.drops = q.Drops()
	k.drops = k.drops && (limited || major != 3) // which has no limit by default
	delays, _ := args["x-delayed-retry-type"].(string)
	k.delaysFailed = delays == "all" || delays == "failed"
	k.delaysBack = delays == "all" || delays == "returned"
	if k.counts { // such a broker ignores that
		asked := delayOf(args)
		if k.delaysFailed {
			k.delayFailed = asked
		}
		if k.delaysBack {
			k.delayBack = asked
		}
		k.delaysFailed, k.delaysBack = false, false
	}
	return k
}

// delay is what a queue of RabbitMQ 4.3 asks for with x-delayed-retry-min and
// -max: first, and that much more with each attempt, up to limit.
type delay struct{ first, limit time.Duration }

func delayOf(args core.Table) (d delay) {
	if n, ok := rabbitmq.Integer(args["x-delayed-retry-min"]); ok {
		d.first = time.Duration(n) * time.Millisecond
	}
	if n, ok := rabbitmq.Integer(args["x-delayed-retry-max"]); ok {
		d.limit = time.Duration(n) * time.Millisecond
	}
	return d
}

// after returns the delay after so many attempts.
func (d delay) after(attempts int64) time.Duration {
	pause := d.first * time.Duration(min(attempts, 1000))
	if d.limit > 0 {
		pause = min(pause, d.limit)
	}
	return pause
}

// way is how a message comes to its next attempt.
type way uint8

const (
	again  way = iota // the handler is called again, here
	failed            // it goes back to the queue as failed: a delivery that counts
	back              // it goes back as not handled, which RabbitMQ 4.3 does not count
)

// past is what a delivery says of its deliveries before.
type past struct {
	redelivered bool
	counted     int64 // as failed; by quorum queues only
	acquired    int64 // by quorum queues of RabbitMQ 4.3 only
	here        int   // failures of its handler since it came
}

func pastOf(d *core.Delivery, here int) past {
	p := past{redelivered: d.Redelivered, here: here}
	if !d.Redelivered {
		return p
	}
	if v, ok := d.Header("x-delivery-count"); ok {
		p.counted, _ = rabbitmq.Integer(v)
	}
	if v, ok := d.Header("x-acquired-count"); ok {
		p.acquired, _ = rabbitmq.Integer(v)
	}
	return p
}

// attempts returns how often it was tried before, if that is known.
func (p past) attempts() int64 {
	n := max(p.counted, p.acquired)
	if n == 0 && p.redelivered {
		n = 1
	}
	return n + int64(p.here)
}

// wayAfterFailure returns how a message comes to its next attempt when its
// handler has failed.
//
// As failed, so that the queue can count and dead-letter it. Where the end of
// that is nothing, only half of what the queue allows is spent; the rest is for
// what nobody can help. A classic queue does not count, and gives back at once,
// before all others: there the pause must be made here, once the message has
// come back.
func (k knowledge) wayAfterFailure(p past) way {
	switch {
	case p.redelivered && p.counted == 0 && p.acquired == 0, k.classic && p.redelivered:
		return again
	case k.drops && p.counted >= k.limit/2:
		return again
	}
	return failed
}

// Bounds of what is kept for another attempt here. RabbitMQ takes back what is
// not acked within its consumer timeout, 30 minutes unless set, and where that
// counts, giving it back does too.
const (
	keepTime       = 10 * time.Minute
	keepTimeCounts = 20 * time.Minute
)

// keep returns how long a delivery may be kept.
func (k knowledge) keep() time.Duration {
	keep := keepTime
	if k.counts {
		keep = keepTimeCounts
	}
	if k.ackTimeout > 0 {
		keep = min(keep, k.ackTimeout/2)
	}
	return keep
}

// afterFailure returns how a message comes to its next attempt, and after which pause.
func (k knowledge) afterFailure(p past, age, first, limit time.Duration) (way, time.Duration) {
	w := k.wayAfterFailure(p)
	pause := backoff.After(p.attempts()+1, first, limit)
	pause = max(pause, min(k.delayFailed.after(p.attempts()+1), k.keep()/2))
	if w == again && age+pause > k.keep() {
		w = back
	}
	if w == failed && k.delaysFailed {
		pause = 0
	}
	return w, pause
}

// afterRequeue returns the pause before a message is given back whose handler asked for it: none at first, unless the
// queue asks for one that the broker does not make.
func (k knowledge) afterRequeue(p past, first, limit time.Duration) time.Duration {
	pause := min(k.delayBack.after(p.attempts()+1), k.keep()/2)
	if n := p.attempts(); n > 0 && !k.delaysBack {
		pause = max(pause, backoff.After(n, first, limit))
	}
	return pause
}
