package warren

import (
	"errors"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// pending is a topology on its way to the broker. It is pure.
type pending struct {
	topology Topology
	results  [][]*record.Result // by phase and step; nil: not answered yet
	replayer record.Replayer

	unreachable []*topology.Problem // what the broker does not have either
}

func newPending(t Topology) *pending {
	d := &pending{topology: t.Clone()}
	for _, phase := range record.Plan(t) {
		d.results = append(d.results, make([]*record.Result, len(phase.Steps)))
	}
	return d
}

// missing returns the steps of a phase that have no answer, and the place of
// each by its method. Queues that were lost meanwhile may have new names.
func (d *pending) missing(phase int, resolve func(string) string) ([]record.Step, map[core.Method]int) {
	t := d.topology.Clone()
	for i, b := range t.Bindings {
		if b.Destination == "" {
			t.Bindings[i].Destination = resolve(d.unnamed())
		}
	}
	var steps []record.Step
	places := map[core.Method]int{}
	for i, step := range record.Plan(t)[phase].Steps {
		if d.results[phase][i] == nil {
			steps = append(steps, step)
			places[step.Method] = i
		}
	}
	return steps, places
}

// blame returns the result of the step over which the broker closed the
// connection. Of several that can have been it one is declared at a time.
func (d *pending) blame(err error) []record.Result {
	interrupted, ok := errs.AsType[*record.InterruptedError](err)
	if !ok {
		return nil
	}
	switch suspects := interrupted.Suspects(); len(suspects) {
	case 0:
		return nil
	case 1:
		d.replayer = record.Replayer{}
		s := suspects[0]
		return []record.Result{{Step: s, Entity: s.Entity, Name: s.Name, Err: interrupted.Err}}
	default:
		d.replayer = record.Replayer{Channels: 1, Window: 1}
		return nil
	}
}

// unnamed returns the name that the broker has given to the queue without one.
func (d *pending) unnamed() string {
	for i, q := range d.topology.Queues {
		if r := d.results[record.PhaseQueues][i]; q.Name == "" && r != nil && r.Err == nil {
			return r.QueueName()
		}
	}
	return ""
}

// outcome sums up the answers. cause is why there are no more, nil if there are all.
func (d *pending) outcome(resolve func(string) string, cause error) (Declaration, error) {
	out := Declaration{Warnings: append(d.topology.Warnings(), d.unreachable...)}
	errs := []error{}
	for phase, results := range d.results {
		for _, r := range results {
			name := ""
			switch {
			case r == nil:
			case r.Err != nil:
				f := Failure{Entity: r.Entity.String(), Err: r.Err}
				out.Failed = append(out.Failed, f)
				errs = append(errs, f)
			default:
				out.Declared++
				name = resolve(r.QueueName())
			}
			if phase == record.PhaseQueues {
				out.Queues = append(out.Queues, name)
			}
		}
	}
	return out, errors.Join(append(errs, cause)...)
}
