package record

import (
	"math"
	"time"

	"github.com/warren-mq/warren/internal/rabbitmq"
	"github.com/warren-mq/warren/topology"
)

// expiry decides when to look for queues whose x-expires has passed. Nothing
// is timed: it is done before a plan is made, and while queues are recorded,
// so often that each of them is looked at a bounded number of times.
//
// A queue is in use while it has a consumer that was counted with [Recorder.ConsumerAdded]; declaring it and
// [Recorder.Used] use it for a moment. Any other client's use is unknown here, so a queue that is forgotten
// may live on.
type expiry struct {
	count int // queues with x-expires recorded since the last look
	next  int // how many make the next look due
	total int // expired so far
}

const minExpiry = 256

// now is what records are stamped with.
func now() time.Time { return time.Now() }

// added notes that a queue with x-expires is about to be recorded.
func (x *expiry) added(g *graph, now time.Time) {
	if x.count++; x.count >= max(x.next, minExpiry) {
		x.sweep(g, now)
	}
}

// sweep removes from g what has expired.
func (x *expiry) sweep(g *graph, now time.Time) {
	left := 0
	for at := g.queues.Front(); at != nil; {
		v := at.Value.(*vertex)
		at = at.Next() // removing v takes no other queue
		switch {
		case v.queue.expires == 0:
		case v.queue.consumers == 0 && now.Sub(v.queue.used) >= v.queue.expires:
			g.remove(v, forgotten)
			x.total++
		default:
			left++
		}
	}
	x.count, x.next = 0, max(left, g.queues.Len()/2)
}

// expires returns x-expires, 0 if there is none. (RabbitMQ, "Time-To-Live and
// Expiration": milliseconds.)
func expires(args topology.Table) time.Duration {
	ms, ok := rabbitmq.Integer(args["x-expires"])
	if !ok || ms <= 0 || ms > math.MaxInt64/int64(time.Millisecond) {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// Used notes that messages were fetched from a queue (basic.get), which puts
// off its expiry.
func (r *Recorder) Used(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.queueLocked(queue); q != nil {
		q.used = now()
	}
}
