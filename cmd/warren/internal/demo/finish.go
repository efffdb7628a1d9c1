package demo

import (
	"context"
	"time"

	"github.com/warren-mq/warren/core"
)

// settleTimeout bounds the wait for what is still on its way at the end.
const settleTimeout = 2 * time.Minute

// settle waits until everything confirmed has arrived; what has not by then is lost.
func (r *run) settle(live context.Context) error {
	bound := time.NewTimer(settleTimeout)
	defer bound.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if live.Err() != nil {
			return context.Cause(live)
		}
		if r.ledger.Summary().Lost == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-bound.C:
			return nil
		case <-live.Done():
		}
	}
}

// cleanUp deletes the topology from a broker that outlives the run.
func (r *run) cleanUp(ctx context.Context) error {
	if r.target.ours {
		return nil
	}
	conn, err := core.Dial(ctx, r.target.cfg)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // the deletions were answered
	ch, err := conn.Channel(ctx)
	if err != nil {
		return err
	}
	if _, err := ch.QueueDelete(ctx, core.QueueDelete{Queue: r.cfg.Queue}); err != nil {
		return err
	}
	return ch.ExchangeDelete(ctx, core.ExchangeDelete{Exchange: r.cfg.Queue})
}
