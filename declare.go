package warren

import (
	"context"
	"errors"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/compare"
)

// Declaration says what became of a [Client.Declare].
type Declaration struct {
	Declared int       // entities declared; those that existed as asked for count too
	Failed   []Failure // those that the broker refused
	Queues   []string  // the queues' names, in the order of Topology.Queues; "" for a refused one
	// Warnings are those of [topology.Topology.Warnings] and [compare.Unreachable]: what
	// should not be relied on. They are also reported as one event, [recovery.EventWarning].
	Warnings []*topology.Problem
}

// Declare declares t and records it, so that it is declared again whenever it
// is lost. Entities that exist with the same properties stay as they are. One
// that the broker refuses does not stop the others. A binding of a queue
// without a name means the one queue of t without a name.
//
// Everything is validated first: then the error is a [*core.ValidationError]
// that names all that is wrong, and nothing was sent. Otherwise the error joins
// the refusals in Failed, for example [core.ErrPreconditionFailed] for a queue
// that exists with other arguments, or is the end of ctx; what was declared
// until then stays. During an outage Declare waits for the connection; when it
// is lost meanwhile, Declare goes on with what is missing on the next one; an
// entity over which the broker closes the connection is in Failed too.
func (c *Client) Declare(ctx context.Context, t Topology) (Declaration, error) {
	if err := errors.Join(t.Validate(), validateUnnamed(t)); err != nil {
		return Declaration{}, &core.ValidationError{Method: "declare", Err: err}
	}
	d := newPending(t)
	if ctx.Err() != nil {
		return d.outcome(c.main.Resolve, context.Cause(ctx))
	}
	err := c.main.Each(ctx, func(s *session.Session) (done bool, err error) {
		if err = c.declareOn(ctx, s, d); err == nil {
			d.unreachable, _ = compare.Unreachable(ctx, s.Conn, d.topology) // it is declared all the same
		}
		return err == nil || s.Conn.Err() == nil, err
	})
	out, err := d.outcome(c.main.Resolve, err)
	c.warn(out.Warnings)
	return out, err
}

// warn reports warnings as one event, with the first of them.
func (c *Client) warn(warnings []*topology.Problem) {
	const most = 10
	if len(warnings) == 0 {
		return
	}
	var errs []error
	for _, w := range warnings[:min(most, len(warnings))] {
		errs = append(errs, w)
	}
	c.main.Emit(Event{Kind: recovery.EventWarning, Entity: warnings[0].Entity.String(), Count: len(warnings), Err: errors.Join(errs...)})
}

var errUnnamed = errors.New("a binding without the name of its queue needs exactly one queue without a name beside it")

func validateUnnamed(t Topology) error {
	queues, bindings := 0, 0
	for _, q := range t.Queues {
		if q.Name == "" {
			queues++
		}
	}
	for _, b := range t.Bindings {
		if b.Destination == "" && !b.ToExchange {
			bindings++
		}
	}
	if bindings > 0 && queues != 1 {
		return errUnnamed
	}
	return nil
}

// declareOn declares what is missing, phase by phase, and records it. The
// error is the loss of the connection, or the end of ctx.
func (c *Client) declareOn(ctx context.Context, s *session.Session, d *pending) error {
	for phase := range d.results {
		steps, places := d.missing(phase, c.main.Resolve)
		results, err := d.replayer.Replay(ctx, s.Conn, steps)
		for _, r := range append(results, d.blame(err)...) {
			d.results[phase][places[r.Step.Method]] = &r
			if r.Err == nil {
				c.main.Record(s.Conn, r.Entity, r.QueueName())
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
