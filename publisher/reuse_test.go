package publisher_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// lateContext ends in the moment in which it is asked for its Err: what waits for that is begun, and
// stopping it comes too late. Whoever waits for Done does not see it.
type lateContext struct {
	context.Context
	done  chan struct{}
	asked atomic.Bool
	f     func()
}

func (c *lateContext) Done() <-chan struct{} { return c.done }

func (c *lateContext) AfterFunc(f func()) (stop func() bool) {
	c.f = f
	return func() bool { return false }
}

func (c *lateContext) Value(any) any { return nil } // it is no context of the standard library's

func (c *lateContext) Err() error {
	if c.f == nil {
		return nil // not watched yet
	}
	if !c.asked.Swap(true) {
		c.f()
		return nil
	}
	return context.Canceled
}

// What watches a sender's context reads nothing of the receipt, which has its outcome by then and is
// another message's. Run it with the race detector.
func TestReceiptIsUsedAgainWhileItsContextEnds(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		for range 20 {
			p := e.publisher()
			ctx := &lateContext{Context: context.Background(), done: make(chan struct{})}
			if err := p.Publish(ctx, to("q", "x")); err != nil { // the first one is sent by the runner
				t.Error(err)
			}
			if err := p.Publish(e.ctx, to("q", "y")); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if !ctx.asked.Load() {
				t.Error("the context did not end while the message was sent")
			}
			e.closeOf(p)
		}
	})
}
