package core

import "time"

// maxStaged is how many deliveries are handed over at once: enough to make
// locks and wake-ups rare, and few enough for receivers to start meanwhile.
const maxStaged = 512

// stage holds d back until handOver: before the reader waits for the socket,
// before any other method takes effect, and after maxStaged deliveries. So
// receivers are woken once for all that a read brought, and a lone delivery
// is not delayed.
func (in *inbound) stage(c *Consumer, d *Delivery) error {
	if len(c.staged) == 0 {
		in.staged = append(in.staged, c)
	}
	c.staged = append(c.staged, d)
	if in.stagedNow++; in.stagedNow == maxStaged {
		return in.handOver()
	}
	return nil
}

// handOver gives the staged deliveries to their consumers. After an error, which
// ends the connection, none is left.
func (in *inbound) handOver() (err error) {
	if in.stagedNow == 0 {
		return nil
	}
	now := time.Since(in.born)
	for _, c := range in.staged {
		for _, d := range c.staged {
			d.came = now
		}
		c.ch.acks.delivered.Store(c.ch.in.tag)
		for _, d := range c.inbox.push(c.staged) {
			err = cmpErr(err, c.ch.overflow(c, d))
		}
		clear(c.staged)
		c.staged = c.staged[:0]
	}
	clear(in.staged)
	in.staged, in.stagedNow = in.staged[:0], 0
	return err
}
