package consumer

import (
	"errors"
	"sync/atomic"

	"github.com/warren-mq/warren/core"
)

// Stats counts deliveries since the consumer was made. Those that handlers
// settled themselves are left out.
type Stats struct {
	Acked    uint64 // handled, and acked on the channel that brought them
	Rejected uint64 // handlers returned [ErrReject]
	Requeued uint64 // handlers failed, or asked for it
	Stale    uint64 // their channel died before they were settled: delivered again
	Dropped  uint64 // with automatic ack: arrived, and not handled within [StopTimeout] or by the loop: lost
}

type counters struct{ acked, rejected, requeued, stale, dropped atomic.Uint64 }

// note counts a handler's result, and what became of settling it.
func (c *counters) note(result, settled error) {
	switch {
	case errors.Is(settled, core.ErrSettled): // by the handler, who knows how
	case errors.Is(settled, core.ErrStale):
		c.stale.Add(1)
	case result == nil:
		c.acked.Add(1)
	case errors.Is(result, ErrReject):
		c.rejected.Add(1)
	default:
		c.requeued.Add(1)
	}
}

// Stats returns the counters.
func (c *Consumer) Stats() Stats {
	return Stats{
		Acked: c.counters.acked.Load(), Rejected: c.counters.rejected.Load(),
		Requeued: c.counters.requeued.Load(), Stale: c.counters.stale.Load(), Dropped: c.counters.dropped.Load(),
	}
}
