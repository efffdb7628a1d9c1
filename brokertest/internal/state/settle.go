package state

// Verdict is what a client does with a message.
type Verdict int

// Verdicts. Return is what happens to messages when their channel ends.
const (
	Ack Verdict = iota
	Reject
	Requeue      // by basic.nack
	RejectReturn // by basic.reject with requeue
	Return
)

// Settle ends what [Sink.Deliver] or [Queue.Get] began; c is nil after Get.
func (q *Queue) Settle(c *Consumer, e *Entry, v Verdict) {
	q.unacked--
	if c != nil {
		c.unacked--
		c.timeout = false
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
	if v == Reject {
		q.vhost.deadLetter(q, e.Message, deathRejected)
		return
	}
	e.Redelivered = true
	e.acquired++
	if v == Return || v == RejectReturn {
		e.failed++ // RabbitMQ 4.3: nack with requeue does not count
	}
	if q.deliveryLimit >= 0 && e.failed > q.deliveryLimit {
		q.vhost.deadLetter(q, e.Message, deathDeliveryLimit)
		return
	}
	q.ready.putBack(e)
}

func (q *Queue) firstConsumer() *Consumer {
	if len(q.consumers) == 0 {
		return nil
	}
	return q.consumers[0]
}
