package core

import "github.com/warren-mq/warren/core/wire"

// ack queues the ack of one delivery; the writer collects it.
func (ch *Channel) ack(tag uint64) error {
	tell, err := ch.acks.ack(tag)
	if tell {
		ch.conn.out.acksReady(ch)
	}
	return err
}

// settle queues a settlement behind the acks that are already waiting.
func (ch *Channel) settle(s settlement) error {
	tell, err := ch.acks.settle(s)
	if tell {
		ch.conn.out.acksReady(ch)
	}
	return err
}

// Ack settles deliveries by tag: with multiple all up to and including tag,
// where tag 0 means all so far. [Delivery.Ack] is the usual way.
//
// Errors: [ErrStale]; a [*ValidationError] for a tag that was never delivered
// here; [ErrSettled] for tags settled before. A channel that has seen an
// automatic-ack consumer, a get without ack, a RecoverAsync, a transaction or
// a server's cancel no longer knows those: there the broker closes the channel over a tag that is
// settled twice by number. A [Delivery] always knows.
func (ch *Channel) Ack(tag uint64, multiple bool) error {
	if err := ch.checkTag(wire.MethodBasicAck, tag, multiple); err != nil {
		return err
	}
	if !multiple {
		return ch.ack(tag)
	}
	return ch.settle(settlement{method: wire.MethodBasicAck, tag: tag, multiple: true})
}

// Nack refuses deliveries by tag, as [Channel.Ack]; requeue puts them back.
func (ch *Channel) Nack(tag uint64, multiple, requeue bool) error {
	if err := ch.checkTag(wire.MethodBasicNack, tag, multiple); err != nil {
		return err
	}
	return ch.settle(settlement{wire.MethodBasicNack, tag, multiple, requeue})
}

// Reject refuses one delivery by tag.
func (ch *Channel) Reject(tag uint64, requeue bool) error {
	if err := ch.checkTag(wire.MethodBasicReject, tag, false); err != nil {
		return err
	}
	return ch.settle(settlement{method: wire.MethodBasicReject, tag: tag, requeue: requeue})
}

func (ch *Channel) checkTag(id wire.MethodID, tag uint64, multiple bool) error {
	if tag > ch.acks.delivered.Load() || (tag == 0 && !multiple) {
		return &ValidationError{Method: id.String(), Err: errNoSuchTag(tag)}
	}
	return nil
}
