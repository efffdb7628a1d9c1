package nullbroker

import (
	"encoding/binary"

	"github.com/warren-mq/warren/bench/internal/framing"
)

// consumer is where one consumer stands. The connection's lock guards credit and cancelled; the rest is
// the writer's.
type consumer struct {
	tag       string
	bounded   bool // by credit
	credit    int  // deliveries that may be sent
	cancelled bool

	batch  []byte // many deliveries of one length
	stride int
	tagAt  int // where in each the delivery tag is
	next   uint64
}

func newConsumer(channel uint16, tag string, size int) *consumer {
	k := &consumer{tag: tag, next: 1}
	one, at := framing.Deliver(nil, channel, tag, size)
	k.stride, k.tagAt = len(one), at
	for len(k.batch) == 0 || len(k.batch)+len(one) <= framing.Buffer {
		k.batch = append(k.batch, one...)
	}
	return k
}

// takeLocked returns how many deliveries may be sent at once.
func (k *consumer) takeLocked() int {
	n := len(k.batch) / k.stride
	if k.cancelled {
		return 0
	}
	if k.bounded {
		n = min(n, k.credit)
		k.credit -= n
	}
	return n
}

// deliveries returns the next n, valid until the next call.
func (k *consumer) deliveries(n int) []byte {
	for at := k.tagAt; at < n*k.stride; at += k.stride {
		binary.BigEndian.PutUint64(k.batch[at:], k.next)
		k.next++
	}
	return k.batch[:n*k.stride]
}

// runWriter sends replies, and to each consumer in turn what it may have.
func (c *conn) runWriter() {
	defer c.end()
	var replies []byte
	var turn []batch
	for {
		var ok bool
		if replies, turn, ok = c.await(replies[:0], turn[:0]); !ok {
			return
		}
		if len(replies) > 0 {
			if _, err := c.nc.Write(replies); err != nil {
				return
			}
		}
		for _, b := range turn {
			if _, err := c.nc.Write(b.to.deliveries(b.n)); err != nil {
				return
			}
		}
	}
}

// batch is n deliveries to one consumer.
type batch struct {
	to *consumer
	n  int
}

// await waits for something to write and takes it.
func (c *conn) await(empty []byte, turn []batch) (replies []byte, _ []batch, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.over {
			return nil, nil, false
		}
		for _, k := range c.consumers {
			if n := k.takeLocked(); n > 0 && !c.closing {
				turn = append(turn, batch{k, n})
			}
		}
		if len(c.replies)+len(turn) > 0 {
			replies, c.replies = c.replies, empty
			return replies, turn, true
		}
		if c.closing {
			return nil, nil, false
		}
		c.work.Wait()
	}
}
