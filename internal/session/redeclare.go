package session

import (
	"context"
	"slices"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// Recorder returns what is replayed on this connection; nil: nothing.
func (c *Connection) Recorder() *record.Recorder { return c.cfg.Recorder }

// Resolve returns the present name of a queue that was once named queue: a
// server-named queue has another one on each connection.
func (c *Connection) Resolve(queue string) string {
	if c.cfg.Recorder == nil {
		return queue
	}
	return c.cfg.Recorder.Resolve(queue)
}

// Redeclare declares a recorded queue again on s, with its bindings and the
// exchanges through which messages reach it, for a caller that found it gone while
// the connection lives. What is tried again by the connection because it closes
// connections, or was not answered, is left to it. It reports whether the queue is recorded; the error is
// the first refusal, or the loss of the connection. Of several that find the
// same queue gone the first declares it, while the others wait.
func (c *Connection) Redeclare(ctx context.Context, s *Session, queue string) (recorded bool, err error) {
	if c.cfg.Recorder == nil {
		return false, nil
	}
	done, err := c.begin(ctx, c.Resolve(queue))
	if err != nil {
		return false, err
	}
	defer done()
	for i := range c.cfg.Recorder.Plan() {
		steps := c.upstreamSteps(i, queue)
		if holdsQueue(steps, c.Resolve(queue)) && c.gone(ctx, s, queue) {
			c.recreated(c.Resolve(queue))
		}
		results, lost := record.Replay(ctx, s.Conn, steps)
		for _, r := range results {
			_, isQueue := r.Entity.(topology.Queue)
			recorded = recorded || isQueue
			switch now := r.QueueName(); {
			case r.Err != nil && err == nil:
				err = r.Err
			case r.Err == nil && isQueue && now != r.Name:
				c.renamed(r.Name, now)
				c.Emit(recovery.Event{Kind: recovery.EventRenamed, Entity: r.Name, Name: now})
			}
		}
		if lost != nil {
			return recorded, lost
		}
	}
	return recorded, err
}

// begin waits until nobody else declares the queue again. Else each might find
// it gone, and one that the broker names be there twice.
func (c *Connection) begin(ctx context.Context, queue string) (done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.redeclaring[queue] {
		changed := c.redeclared.Wait()
		c.mu.Unlock()
		err := gate.Await(ctx, changed)
		c.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	c.redeclaring[queue] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.redeclaring, queue)
		c.redeclared.Wake()
	}, nil
}

// Recreations returns how often a recorded queue was found gone that should have
// been there, and was declared again, empty. A stream counts its offsets from 0 then.
func (c *Connection) Recreations(queue string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recreations[queue]
}

func (c *Connection) recreated(queue string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recreations[queue]++
}

func holdsQueue(steps []record.Step, name string) bool {
	return slices.ContainsFunc(steps, func(step record.Step) bool {
		queue, ok := step.Entity.(topology.Queue)
		return ok && queue.Name == name
	})
}

// gone asks the broker whether the queue is not there.
func (c *Connection) gone(ctx context.Context, s *Session, queue string) bool {
	ch, err := s.Conn.Channel(ctx)
	if err != nil {
		return false
	}
	_, err = ch.QueueDeclare(ctx, core.QueueDeclare{Queue: c.Resolve(queue), Passive: true})
	_ = ch.Close(ctx) // the answer counts
	return record.Gone(err)
}

// renamed notes a queue's new name.
func (c *Connection) renamed(queue, name string) {
	c.cfg.Recorder.Renamed(queue, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quarantine.renamed(queue, name)
}

// upstreamSteps returns the steps of the i-th phase that bring queue back. The
// plan is made again: the name may have changed in the phase before.
func (c *Connection) upstreamSteps(i int, queue string) []record.Step {
	steps := c.cfg.Recorder.Upstream(topology.Topology{Queues: []topology.Queue{{Name: queue}}})[i].Steps
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(steps, func(step record.Step) bool { return c.quarantine.inOwnTime(entityKey(step.Entity)) })
}
