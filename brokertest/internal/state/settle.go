package state

// Verdict is what a client does with a message.
type Verdict int

// Verdicts. Return is what happens to messages when their channel ends.
const (
	Ack          Verdict = iota
	Discard              // by basic.reject
	Reject               // by basic.nack
	Requeue              // by basic.nack
	RejectReturn         // by basic.reject with requeue
	Return
)

// Settle ends what [Sink.Deliver] or [Queue.Get] began; c is nil after Get.
func (q *Queue) Settle(c *Consumer, e *Entry, v Verdict) {
	q.unacked--
	if c != nil {
		c.unacked--
		if c.unacked == 0 && q.singleActive {
			q.elect(q.firstConsumer())
		}
	}
	if q.deleted {
		return
	}
	q.vhost.touch(q)
	if q.Kind == kindStream || v == Ack {
		return
	}
	counts := v == Discard || v == Return || v == RejectReturn || v == Requeue && q.vhost.Before43
	if counts {
		e.failed++
	}
	if v == Reject || v == Discard {
		q.vhost.deadLetter(q, e, deathRejected)
		return
	}
	e.Redelivered = true
	e.acquired++
	if q.deliveryLimit >= 0 && e.failed > q.deliveryLimit {
		q.vhost.deadLetter(q, e, deathDeliveryLimit)
		return
	}
	if q.delays(counts) {
		q.delay(e)
		return
	}
	q.putBack(e, v)
}

// putBack puts a message back into its place, or where it now has one: a quorum queue without a delivery limit has what it
// is given back behind all others before RabbitMQ 4.0, but not what it takes back.
func (q *Queue) putBack(e *Entry, v Verdict) {
	if q.Kind == kindQuorum && q.vhost.Before40 && q.deliveryLimit < 0 && v != Return {
		q.ready.push(e)
	} else {
		q.ready.putBack(e)
	}
	if !e.expires.IsZero() {
		q.vhost.due(q, e.expires)
	}
}

func (q *Queue) firstConsumer() *Consumer {
	if len(q.consumers) == 0 {
		return nil
	}
	return q.consumers[0]
}
