package ledger

import "errors"

// Consumer notes what the handlers of one queue see. Give each goroutine its own
// where speed matters; one may be shared too.
type Consumer struct {
	ledger *Ledger
	queue  uint16
	shard  *shard
}

// Consumer returns a new receiver of messages from the queue of that name.
func (l *Ledger) Consumer(queue string) *Consumer {
	return &Consumer{ledger: l, queue: l.queue(queue), shard: l.newShard()}
}

// Deliver notes that a handler starts with a message. The error says that it is
// not one that was published: [ErrForeign], also for other runs, or [ErrCorrupt].
// Of the tag only the equality with the one given to [Consumer.End] matters.
func (c *Consumer) Deliver(body []byte, tag uint64, redelivered bool) (ID, error) {
	id, crc, err := Decode(body)
	if err == nil && id.Run != c.ledger.run {
		err = ErrForeign
	}
	var flags Flags
	switch {
	case errors.Is(err, ErrForeign):
		flags, id = Foreign, ID{}
	case err != nil:
		flags = Corrupt
	}
	if redelivered {
		flags |= Redelivered
	}
	c.shard.add(c.record(Deliver, id, tag, crc, flags))
	return id, err
}

// End notes that the handler has ended: call it right before the handler returns
// err, or acks.
func (c *Consumer) End(id ID, tag uint64, err error) {
	var flags Flags
	if err != nil {
		flags = Failed
	}
	c.shard.add(c.record(HandlerEnd, id, tag, 0, flags))
}

func (c *Consumer) record(kind Kind, id ID, tag uint64, crc uint32, flags Flags) Record {
	return Record{
		Time: c.ledger.now(), Kind: kind, Flags: flags, Node: c.queue, Pub: id.Publisher,
		Seq: pack(id.Seq, id.Attempt), Tag: tag, CRC: crc,
	}
}
