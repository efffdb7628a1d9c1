package session

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/backoff"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// held are the client's exclusive queues in quarantine that the broker still
// holds for the lost connection (405). They are tried together. It is pure;
// the connection's lock guards it.
type held struct {
	patience time.Duration     // how long the lost connection can hold them
	queues   map[string]*entry // by entityKey
	rounds   int               // of trying
	since    time.Time         // the first of them was refused
	due      time.Time         // when to try again
	pace     backoff.Pace
	wait     backoff.Wait
}

const (
	firstHeld = 25 * time.Millisecond // the wait before the second round
	lastHeld  = time.Second           // doubling up to this, while nothing comes free
	// After so many refusals a round is given up: each costs a channel.
	heldRefusals = 8
	// What a broker may take to notice, without heartbeats, and to clean up.
	deafPatience = time.Minute
	reapPatience = 5 * time.Second
)

// patienceFor returns how long the broker can take to give a connection up
// with that heartbeat: two intervals, and then its queues.
func patienceFor(heartbeat time.Duration) time.Duration {
	if heartbeat == 0 {
		return deafPatience
	}
	return 2*heartbeat + reapPatience
}

// holdable reports whether a step may meet a lock of the lost connection.
func holdable(step record.Step) bool {
	q, ok := step.Entity.(topology.Queue)
	m, _ := step.Method.(*core.QueueDeclare)
	return ok && q.Exclusive && m != nil && m.Queue != "" // the broker chooses free names
}

// add takes a queue in that was refused in the present round, or was not tried for that.
func (h *held) add(p *entry, now time.Time) {
	if len(h.queues) == 0 {
		h.queues = map[string]*entry{}
		h.since, h.wait = now, backoff.Wait{}
		h.due = now.Add(h.pace.Of(h.wait.Next(firstHeld, lastHeld)))
	}
	h.queues[p.key] = p
}

func (h *held) remove(p *entry) { delete(h.queues, p.key) }

// has reports whether a queue of that name is held.
func (h *held) has(queue string) bool {
	return len(h.queues) > 0 && h.queues[entityKey(topology.Queue{Name: queue})] != nil
}

// presumed reports whether the lock can still be that of the lost connection.
func (h *held) presumed(now time.Time) bool { return now.Sub(h.since) < h.patience }

// ended notes the end of a round.
func (h *held) ended(progress bool, now time.Time) {
	h.rounds++
	first, limit := firstHeld, lastHeld
	switch {
	case progress:
		h.wait = backoff.Wait{}
	case !h.presumed(now):
		first, limit = lastLocked, lastLocked
	}
	h.due = now.Add(h.pace.Of(h.wait.Next(first, limit)))
}

// inTurn returns the steps of those that are held and may be tried, the ones
// that were not refused for longest first: one that somebody else holds must
// not keep the others waiting.
func (h *held) inTurn(steps []record.Step) []record.Step {
	var all []record.Step
	turn := map[string]int{}
	for _, step := range steps {
		key := entityKey(step.Entity)
		if p := h.queues[key]; p != nil && !p.spent {
			turn[step.Name] = p.tried
			all = append(all, step)
		}
	}
	slices.SortStableFunc(all, func(a, b record.Step) int { return cmp.Compare(turn[a.Name], turn[b.Name]) })
	return all
}

// needsHeld reports whether a binding leads to a queue that is held.
func (h *held) needsHeld(entity topology.Entity) bool {
	b, ok := entity.(topology.Binding)
	return ok && !b.ToExchange && h.has(b.Destination)
}

// Holds reports whether queue is held for the lost connection. A consumer
// waits until it is not: starting it would cost its channel.
func (c *Connection) Holds(queue string) bool {
	c.mu.Lock()
	held := len(c.quarantine.held.queues) > 0
	c.mu.Unlock()
	if !held {
		return false
	}
	queue = c.Resolve(queue)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.quarantine.held.has(queue)
}

// AwaitQueue waits while the broker holds queue, an exclusive one of the
// client's own, for the lost connection: to consume it would fail. It returns
// nil also when s is lost, and the cause when ctx ends first.
func (c *Connection) AwaitQueue(ctx context.Context, s *Session, queue string) error {
	for {
		c.mu.Lock()
		changed := c.changed.Wait()
		c.mu.Unlock()
		if !c.Holds(queue) || s.Conn.Err() != nil {
			return nil
		}
		if err := gate.Await(ctx, changed); err != nil {
			return err
		}
	}
}
