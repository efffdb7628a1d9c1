package ledger

import (
	"errors"

	"github.com/warren-mq/warren/core/wire"
)

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

// Received is a message as the API gives it to a handler.
type Received struct {
	Exchange, Key string // as of the delivery
	Headers       wire.Table
	Body          []byte
	Tag           uint64
	Redelivered   bool
}

// Receive notes that a handler starts with a message. The error says that it is
// not one that was published: [ErrForeign], also for other runs, or [ErrCorrupt],
// also for a header that is missing or another's. Of the tag only the equality with
// the one given to [Consumer.End] matters.
func (c *Consumer) Receive(m Received) (ID, error) {
	id, crc, flags, err := c.identify(m.Body)
	if err == nil && headerOf(m.Headers) != string(m.Body[:PrefixSize]) {
		flags, err = Corrupt, ErrCorrupt
	}
	if _, dead := m.Headers["x-death"]; dead {
		flags |= Dead
	}
	c.deliver(id, pack(m.Tag, route(m.Exchange, m.Key)), m.Redelivered, crc, flags)
	return id, err
}

// headerOf returns the header with the identity. A stream of RabbitMQ brings byte arrays
// back as strings.
func headerOf(headers wire.Table) string {
	switch h := headers[Header].(type) {
	case []byte:
		return string(h)
	case string:
		return h
	}
	return ""
}

// Deliver is [Consumer.Receive] where only these are known: the rest is not checked.
func (c *Consumer) Deliver(body []byte, tag uint64, redelivered bool) (ID, error) {
	id, crc, flags, err := c.identify(body)
	c.deliver(id, pack(tag, 0), redelivered, crc, flags)
	return id, err
}

// identify tells which message of the run a body is, or which flag says that it is none.
func (c *Consumer) identify(body []byte) (ID, uint32, Flags, error) {
	id, crc, err := Decode(body)
	if err == nil && id.Run != c.ledger.run {
		err = ErrForeign
	}
	switch {
	case errors.Is(err, ErrForeign):
		return ID{}, crc, Foreign, err
	case err != nil:
		return id, crc, Corrupt, err
	}
	return id, crc, 0, nil
}

func (c *Consumer) deliver(id ID, tag uint64, redelivered bool, crc uint32, flags Flags) {
	if redelivered {
		flags |= Redelivered
	}
	c.shard.add(c.record(Deliver, id, tag, crc, flags))
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
