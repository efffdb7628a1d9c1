package channel

import (
	"context"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// consumeWindow is how many consumes are in flight at once: all of a channel, as a rule.
const consumeWindow = 1024

// restore starts the consumers that are not on the physical channel and whose
// time has come. The error is why the physical channel died; [errLeftOut] if
// that was over a consumer that is now left out. inForce is the physical
// channel's qos, before and after.
func (ch *Channel) restore(s *session.Session, physical *core.Channel, inForce core.BasicQos) error {
	todo := ch.missing(physical, time.Now())
	qos := inForce
	for len(todo) > 0 {
		if want := todo[0].qos; want != qos {
			if err := physical.Qos(ch.ctx, want); err != nil {
				return err
			}
			qos = want
		}
		n := 1
		for n < min(len(todo), ch.window()) && todo[n].qos == qos {
			n++
		}
		if err := ch.start(physical, todo[:n]); err != nil {
			ch.report(s, physical)
			return err
		}
		todo = todo[n:]
	}
	if qos != inForce {
		if err := physical.Qos(ch.ctx, inForce); err != nil {
			return err
		}
	}
	ch.report(s, physical)
	return nil
}

// currentQos is what the next consumer gets.
func (ch *Channel) currentQos() core.BasicQos {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.modes.qos
}

// missing returns the consumers that are not on physical and due. Those that
// were refused or cancelled must have been verified.
func (ch *Channel) missing(physical *core.Channel, now time.Time) []*Consumer {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	var all []*Consumer
	for _, c := range ch.consumers {
		if !c.onLocked(physical) && !c.due.After(now) && !ch.conn.Holds(*c.named.Load()) && (c.verified || c.sound(physical)) {
			all = append(all, c)
		}
	}
	return all
}

// window is how many consumes may be in flight: one, after one of several has
// made the broker close the connection.
func (ch *Channel) window() int {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range ch.consumers {
		if c.suspect {
			return 1
		}
	}
	return consumeWindow
}

// start starts consumers. One that is suspect is started alone.
func (ch *Channel) start(physical *core.Channel, consumers []*Consumer) error {
	ctx, cancel := ch.during(physical)
	defer cancel()
	var unanswered []*Consumer
	defer func() { ch.release(unanswered...) }()
	blame, err := ch.conn.Attempt(ctx, physical.Conn(), ch.suspected(consumers[0]), func() (err error) {
		unanswered, err = ch.send(physical, consumers)
		return err
	})
	if err == nil || len(unanswered) == 0 {
		return err
	}
	return ch.refuse(physical, unanswered, blame, err)
}

// send consumes without waiting for each answer. The answers come in order, so
// the broker refused one of those that have none. What is cancelled before its
// answer comes is cancelled at the broker then.
func (ch *Channel) send(physical *core.Channel, consumers []*Consumer) (inFlight []*Consumer, err error) {
	type flight struct {
		c        *Consumer
		physical *core.Consumer
		reply    *core.Reply
	}
	var flights []flight
	var broken error
	for _, c := range consumers {
		if !ch.claim(c) {
			continue
		}
		started, reply, err := physical.StartConsume(ch.ctx, c.method(ch.conn), c.options()...)
		if err != nil {
			ch.release(c)
		}
		if invalid(err) { // nothing was sent: no other is hurt
			ch.putOff(c, recovery.ReasonInvalid, err)
			continue
		}
		if broken = err; err != nil {
			break
		}
		flights = append(flights, flight{c, started, reply})
		inFlight = append(inFlight, c)
	}
	for _, f := range flights {
		if _, err := f.reply.Wait(ch.ctx); err != nil {
			return inFlight, err
		}
		inFlight = inFlight[1:]
		if !ch.attach(f.c, f.physical) {
			ch.conn.Go(func() { ch.runDiscard(f.c, f.physical) })
		}
	}
	return nil, broken
}

// claim reports whether a consumer is still wanted. Its tag then stays taken
// until it is attached or released, also if it ends meanwhile.
func (ch *Channel) claim(c *Consumer) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	c.starting = c.err == nil
	return c.starting
}

// release gives up the claims on consumers, and the tags of those that have ended.
func (ch *Channel) release(consumers ...*Consumer) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range consumers {
		if c.starting && c.err != nil {
			delete(ch.taken, c.m.ConsumerTag)
		}
		c.starting = false
		c.changed.Wake()
	}
}

// attach gives a consumer its physical one, and reports whether it is still
// wanted. If not, what it was sent without ack can be received.
func (ch *Channel) attach(c *Consumer, physical *core.Consumer) (wanted bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	wanted = c.err == nil
	if !wanted && !c.m.NoAck {
		return false
	}
	c.follow()
	c.starting, c.untold = !wanted, wanted
	c.physical, c.refusal, c.attempts, c.suspect, c.verified, c.refused = physical, nil, 0, false, false, false
	c.due, c.started = time.Time{}, time.Now()
	c.position.started(physical.Channel(), c.started)
	c.changed.Wake()
	return wanted
}

// tellRestored tells of the consumers that are back on physical, which is in use.
func (ch *Channel) tellRestored(physical *core.Channel) {
	ch.mu.Lock()
	var back []*Consumer
	for _, c := range ch.consumers {
		if c.untold && c.onLocked(physical) {
			c.untold = false
			back = append(back, c)
		}
	}
	ch.mu.Unlock()
	for _, c := range back {
		ch.conn.Emit(recovery.Event{Kind: recovery.EventConsumerRestored, Entity: c.String(), Name: c.Tag()})
	}
}

// runDiscard cancels the physical consumer of one that has ended, and puts back
// what it was sent. On an error it went with its channel.
func (ch *Channel) runDiscard(c *Consumer, physical *core.Consumer) {
	defer ch.release(c)
	_ = physical.Cancel(ch.ctx)
	for !c.m.NoAck {
		d, _ := physical.TryReceive()
		if d == nil {
			return
		}
		_ = d.Reject(true)
	}
}

// await has the channel's goroutine told when a physical consumer ends, also of
// one that has ended since it looked last.
func (ch *Channel) await(physical *core.Channel) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, c := range ch.consumers {
		if p := c.physical; p != nil && p.Channel() == physical && c.awaited != p {
			c.awaited = p
			ch.conn.Go(func() { ch.runAwait(p) })
		}
	}
}

// runAwait pokes the channel's goroutine when a physical consumer ends.
func (ch *Channel) runAwait(physical *core.Consumer) {
	<-physical.Done()
	ch.look()
}

// look has the channel's goroutine look at the consumers.
func (ch *Channel) look() {
	select {
	case ch.poke <- struct{}{}:
	default:
	}
}

// verify makes sure, before consumers that the server cancelled or refused are
// started again, that their queues exist: one that does not would cost the
// channel. Queues that the client declared are declared again. One that was
// refused must have been taken on a channel of its own.
func (ch *Channel) verify(s *session.Session, physical *core.Channel) {
	ctx, cancel := ch.during(physical)
	defer cancel()
	for _, c := range ch.ended(physical, time.Now()) {
		queue := c.queue(ch.conn)
		if _, err := ch.conn.Redeclare(ctx, s, queue); err != nil {
			ch.verified(ctx, s, c, err)
			continue
		}
		ch.mu.Lock()
		ch.lastQueue = ch.conn.Resolve(ch.lastQueue)
		ch.mu.Unlock()
		steps := []record.Step{{
			Entity: topology.Queue{Name: queue}, Method: &core.QueueDeclare{Queue: queue, Passive: true},
		}}
		results, err := record.Replay(ctx, s.Conn, steps)
		if err == nil && len(results) == 1 {
			err = results[0].Err
		}
		if err == nil && ch.toProbe(c) {
			err = ch.probe(ctx, s, c)
		}
		ch.verified(ctx, s, c, err)
	}
}

// verified puts a consumer off whose queue cannot be looked at; a nil error
// clears it to be started.
func (ch *Channel) verified(ctx context.Context, s *session.Session, c *Consumer, err error) {
	if err != nil && ctx.Err() == nil && s.Conn.Err() == nil {
		ch.putOff(c, recovery.ReasonOf(err), err)
		return
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	c.verified = err == nil
}

// ended returns the consumers that are due and have to be verified, after it
// has sorted out those that ended for good.
func (ch *Channel) ended(physical *core.Channel, now time.Time) []*Consumer {
	var again, cancelled, over []*Consumer
	ch.mu.Lock()
	for _, c := range ch.consumers {
		switch {
		case c.onLocked(physical):
			continue
		case c.overflowed(physical):
			over = append(over, c)
			continue
		case c.cancelledOn(physical) && c.refusal == nil:
			c.refusal = c.physical.Err()
			if wait := c.again.lost(now.Sub(c.started)); wait > 0 {
				c.due = now.Add(wait)
			}
			cancelled = append(cancelled, c)
		}
		if c.refusal != nil && !c.due.After(now) && !ch.conn.Holds(*c.named.Load()) {
			again = append(again, c)
		}
	}
	ch.mu.Unlock()
	for _, c := range cancelled {
		ch.conn.Emit(recovery.Event{Kind: recovery.EventConsumerLost, Entity: c.String(), Err: core.ErrCancelled})
	}
	for _, c := range over {
		ch.remove(c, core.ErrOverflow)
	}
	return again
}

// retryRefused lets refused consumers be verified at once on a new connection,
// when those that were not refused are back, but for those that may close it.
func (ch *Channel) retryRefused(s *session.Session) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.epoch == s.Epoch {
		return
	}
	ch.epoch = s.Epoch
	for _, c := range ch.consumers {
		c.verified = false
		if c.refusal != nil && recovery.ReasonOf(c.refusal) != recovery.ReasonFatal {
			c.due = time.Time{}
			ch.look()
		}
	}
}

// report tells how many of the consumers are established.
func (ch *Channel) report(s *session.Session, physical *core.Channel) {
	ch.mu.Lock()
	member, held := ch.member, ch.heldLocked(physical)
	var failures []recovery.Failure
	established := true
	for _, c := range ch.consumers {
		if c.onLocked(physical) {
			continue
		}
		established = false
		if c.refusal != nil {
			failures = append(failures, recovery.Failure{Entity: c.String(), Err: c.refusal})
		}
	}
	ch.mu.Unlock()
	switch {
	case member == nil:
	case established:
		member.Restored(s, held...)
	default:
		member.Missing(failures...)
	}
}
