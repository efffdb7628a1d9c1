package publisher

import (
	"context"
	"fmt"
	"slices"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
)

// Drain accepts no more messages, waits until every message has its outcome,
// and closes the publisher. It works during an outage too: it then waits for
// the connection. When ctx ends first the rest ends as not sent or unknown,
// and Drain returns the cause.
func (p *Publisher) Drain(ctx context.Context) error {
	err := p.drained(ctx)
	if closeErr := p.Close(ctx); err == nil {
		err = closeErr
	}
	return err
}

func (p *Publisher) drained(ctx context.Context) error {
	p.mu.Lock()
	p.draining = true
	p.window.turnAway()
	for p.window.messages > 0 && p.closed == nil {
		changed := p.changed.Wait()
		p.mu.Unlock()
		err := gate.Await(ctx, changed)
		p.mu.Lock()
		if err != nil {
			defer p.mu.Unlock()
			return gate.Waiting(err, fmt.Sprintf("the outcomes of %d messages", p.window.messages), p.hindranceLocked())
		}
	}
	p.mu.Unlock()
	return nil
}

// Close ends the publisher at once: messages without an outcome end as not
// sent or unknown, with cause [core.ErrClosed]. It waits, within ctx, until
// nothing of it runs any more. Closing again does nothing.
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.started {
		p.started = true // it cannot be started any more
		close(p.done)
	}
	if p.closed == nil {
		p.closed = core.ErrClosed
	}
	p.window.turnAway()
	p.changed.Wake()
	p.mu.Unlock()
	p.stop(core.ErrClosed)
	if err := gate.Await(ctx, p.done); err != nil {
		return gate.Waiting(err, "the publisher to end", nil)
	}
	return nil
}

// end gives up every message that has no outcome. The runner calls it last.
func (p *Publisher) end(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed == nil {
		p.closed = cause
	}
	p.window.turnAway()
	for _, r := range slices.Concat(p.refused.list, p.lost, p.queue.clear()) {
		p.giveUpLocked(r, p.closed)
	}
	p.refused.list, p.lost = nil, nil
	p.changed.Wake()
}

// Done is closed when the publisher has ended: closed, or with its connection.
func (p *Publisher) Done() <-chan struct{} { return p.done }
