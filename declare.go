package warren

import (
	"context"
	"errors"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
)

// Declared says what became of a [Client.Declare].
type Declared struct {
	Declared int       // entities declared; those that existed as asked for count too
	Failed   []Failure // those that the broker refused
	Queues   []string  // the queues' names, in the order of Topology.Queues; "" for a refused one
}

// Declare declares t and records it, so that it is declared again whenever it
// is lost. Entities that exist with the same properties stay as they are. One
// that the broker refuses does not stop the others.
//
// Everything is validated first: then the error is a [*core.ValidationError] or
// a join of several, and nothing was sent. Otherwise the error joins the
// refusals in Failed, for example [core.ErrPreconditionFailed] for a queue that
// exists with other arguments, or is the end of ctx. During an outage Declare
// waits for the connection; when it is lost meanwhile, Declare starts over.
func (c *Client) Declare(ctx context.Context, t Topology) (Declared, error) {
	if err := t.Validate(); err != nil {
		return Declared{}, &core.ValidationError{Method: "declare", Err: err}
	}
	t = t.Clone()
	for after := uint64(0); ; {
		s, err := c.main.SessionAfter(ctx, after)
		if err != nil {
			return Declared{}, err
		}
		d, err := c.declareOn(ctx, s.Conn, t)
		if err == nil || s.Conn.Err() == nil {
			return d, errors.Join(append(d.errors(), err)...)
		}
		after = s.Epoch
	}
}

// declareOn declares t phase by phase. The error is the loss of the
// connection, or the end of ctx.
func (c *Client) declareOn(ctx context.Context, conn *core.Conn, t Topology) (Declared, error) {
	var d Declared
	for _, phase := range t.Plan() {
		results, err := topology.Replay(ctx, conn, phase.Steps)
		for _, r := range results {
			c.declared(&d, r)
		}
		if err != nil {
			return d, err
		}
	}
	return d, nil
}

// declared notes one result, and records what was declared.
func (c *Client) declared(d *Declared, r topology.Result) {
	name := ""
	if r.Err != nil {
		d.Failed = append(d.Failed, Failure{Entity: r.Entity.String(), Err: r.Err})
	} else {
		d.Declared++
		name = r.Declared()
	}
	switch e := r.Entity.(type) {
	case Exchange:
		if r.Err == nil {
			c.recorder.Exchange(e)
		}
	case Queue:
		d.Queues = append(d.Queues, name)
		if r.Err == nil {
			c.recorder.Queue(e, name)
		}
	case Binding:
		if r.Err == nil {
			c.recorder.Binding(e)
		}
	}
}

func (d *Declared) errors() []error {
	var errs []error
	for _, f := range d.Failed {
		errs = append(errs, f)
	}
	return errs
}
