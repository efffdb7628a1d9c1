package consumer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// feed is a running consumer: it keeps one subscription after another, and
// workers take deliveries from whatever is the present one.
type feed struct {
	c        *Consumer
	member   *session.Member
	ctx      context.Context // ends when no new delivery shall be begun
	stop     context.CancelCauseFunc
	handlers context.Context // parent of every handler's context
	abort    context.CancelCauseFunc
	done     chan struct{} // closed when the feed has ended
	consumed atomic.Bool   // it was subscribed at least once
	// subscribed is closed once that shows in the connection's state.
	subscribed chan struct{}

	finishing context.Context // ends when a consumer that stops begins nothing more of what it holds
	endFinish context.CancelCauseFunc
	later     later
	warned    atomic.Bool    // see warnCounted
	turns     atomic.Uint64  // of deliveries, while some wait to be handled again
	slots     sync.WaitGroup // runSlots

	recreations int       // of the stream, if that is known; of runFeed
	isolation   isolation // of runFeed

	mu        sync.Mutex // guards the following
	latest    *subscription
	current   *subscription           // latest while it may have deliveries, else nil
	err       error                   // why it ended
	stopped   bool                    // it ended because it was asked to
	round     context.Context         // in which the present subscription is received from; nil: none yet
	interrupt context.CancelCauseFunc // of round
	adding    bool                    // runSlots is at work
	changed   gate.Gate
}

func newFeed(c *Consumer, ctx context.Context) *feed {
	f := &feed{c: c, member: c.member, done: make(chan struct{}), subscribed: make(chan struct{}), recreations: c.conn.Recreations(c.Queue())}
	f.ctx, f.stop = context.WithCancelCause(ctx)
	f.handlers, f.abort = context.WithCancelCause(context.WithoutCancel(ctx))
	f.finishing, f.endFinish = context.WithCancelCause(f.handlers)
	f.later = later{c: c, release: f.release, changed: f.changeSlots}
	return f
}

// runStop passes [Consumer.Stop] on.
func (f *feed) runStop(stop <-chan struct{}) {
	select {
	case <-stop:
		f.stop(ErrStopped)
	case <-f.done:
	}
}

// runFeed is the goroutine that subscribes, and subscribes again, until the
// feed is stopped or can't go on.
func (f *feed) runFeed() {
	defer close(f.done)
	failures := 0
	f.end(f.c.conn.Each(f.ctx, func(s *session.Session) (done bool, err error) {
		if !f.awaitDue(s) {
			return false, nil
		}
		// 1st: a subscription, and deliveries, until it dies.
		since := time.Now()
		sub, offender, err := f.subscribe(s)
		if err == nil {
			err = f.serve(s, sub)
		}
		if f.ctx.Err() != nil {
			return true, context.Cause(f.ctx) // its channel stays open: handlers still ack on it
		}
		// 2nd: was it this subscription that was refused, or lost? Who waits for it learns that first.
		dead := s.Conn.Err() != nil
		if !f.consumed.Load() && (offender || !dead && refusal(err)) {
			return true, err
		}
		switch {
		case offender:
			f.isolated(err)
		case !dead && time.Since(since) > calmAfter:
			failures = 1
			f.lost(err, failures)
		case !dead:
			failures++
			f.lost(err, failures)
		}
		// 3rd: what it brought is handled, and what it needs is there again.
		f.retire(sub, err)
		if s.Conn.Err() == nil {
			f.prepare(s, err, failures)
		}
		return false, nil
	}))
}

// calmAfter is how long a subscription must have lived to count as sound.
const calmAfter = 10 * time.Second

// serve lets workers receive from sub until it dies or the feed is stopped.
func (f *feed) serve(s *session.Session, sub *subscription) error {
	again := f.consumed.Load()
	if !again {
		f.added()
		f.warn(sub.known)
	}
	f.set(sub)
	f.member.Restored(s)
	sub.large.tell()
	if again {
		f.c.conn.Emit(recovery.Event{Kind: recovery.EventConsumerRestored, Entity: f.c.cfg.name, Name: sub.consumer.Tag()})
	} else {
		close(f.subscribed)
	}
	select {
	case <-sub.consumer.Done():
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	}
	return sub.consumer.Err()
}

// retire takes a subscription that has ended with err out of use; nil: there was none.
func (f *feed) retire(sub *subscription, err error) {
	if sub == nil {
		return
	}
	if (f.c.cfg.autoAck || errors.Is(err, core.ErrOverflow)) && !f.drain(sub) { // nobody delivers it again
		return // those who are at it go on while the consumer stops
	}
	f.unset(sub)
	ctx, cancel := context.WithTimeoutCause(f.handlers, closeTimeout, core.ErrTimeout)
	defer cancel()
	_ = sub.ch.Close(ctx) // requeues what it still holds; on a dead channel nothing is left to do
}

// closeTimeout bounds the closing of one channel.
const closeTimeout = 5 * time.Second

// refusal reports whether err is the broker's answer to this consumer, or the
// connection's that it has no channel for it, not a loss of the connection.
func refusal(err error) bool {
	_, invalid := errs.AsType[*core.ValidationError](err)
	return invalid || errors.Is(err, core.ErrChannelsExhausted) || core.AsError(err).ClosedChannel()
}

// lost reports the loss of a subscription whose connection lives.
func (f *feed) lost(err error, failures int) {
	f.member.Failed(err)
	f.c.conn.Emit(recovery.Event{Kind: recovery.EventConsumerLost, Entity: f.c.cfg.name, Err: err, Attempt: failures})
}

// prepare prepares the next subscription on s after one that ended with err: a
// queue that is gone and was declared by this client is declared again, and
// every attempt is made after a longer pause.
func (f *feed) prepare(s *session.Session, err error, failures int) {
	if failures > 1 {
		f.pause(s, failures-1)
	}
	if f.c.offsets.IsStream() && record.Gone(err) {
		f.c.offsets.Replaced() // whichever client declares it again
	}
	if errors.Is(err, core.ErrCancelled) || errors.Is(err, core.ErrNotFound) {
		// What this does not restore shows when the subscription is tried.
		_, _ = f.c.conn.Redeclare(f.ctx, s, f.c.Queue())
	}
}

// pause waits after n failures in a row.
func (f *feed) pause(s *session.Session, n int) {
	t := time.NewTimer(backoff.After(n, 25*time.Millisecond, 5*time.Second))
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.Conn.Done():
	case <-f.ctx.Done():
	}
}
