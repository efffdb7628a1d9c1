package warren

import (
	"errors"
	"fmt"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// WithRecordMode sets what the client records of what it declares, to declare it again after a loss. Default:
// [topology.RecordModeAll].
func WithRecordMode(m topology.RecordMode) Option { return func(o *options) { o.recordMode = m } }

// WithRecordLimit sets how many entities are recorded at most. What is declared beyond that does not come back
// after a loss: [topology.ErrFull], which the event [recovery.EventNotRecorded] tells. Default, and 0:
// [topology.DefaultRecordLimit]; a negative limit is refused.
func WithRecordLimit(n int) Option { return func(o *options) { o.recordLimit = n } }

// WithTopology records t from the start, as if [Client.Declare] had declared it on a connection before the
// first: it is declared on the first one, before anything else uses that, and again whenever it is lost. An
// entity that the broker refuses does not fail the [Dial]; it is tried again, and the client is degraded until
// then, see [Client.State]. What should not be relied on is told by the event [recovery.EventWarning]. Given more than
// once, all are declared.
//
// It is refused if RabbitMQ would refuse it for its form, if a queue has no name, if something is marked
// NoReplay, and with another mode than [topology.RecordModeAll].
func WithTopology(t Topology) Option {
	return func(o *options) {
		t = t.Clone()
		o.topology.Exchanges = append(o.topology.Exchanges, t.Exchanges...)
		o.topology.Queues = append(o.topology.Queues, t.Queues...)
		o.topology.Bindings = append(o.topology.Bindings, t.Bindings...)
	}
}

// newRecorder returns the recorder that the options describe.
func (o *options) newRecorder() (*record.Recorder, error) {
	errs := []error{o.topology.Validate()}
	if o.recordMode > topology.RecordModeOff {
		errs = append(errs, fmt.Errorf("record mode %d is unknown", o.recordMode))
	}
	if o.recordLimit < 0 {
		errs = append(errs, errors.New("record limit is negative"))
	}
	r := record.NewRecorder(record.WithMode(o.recordMode), record.WithLimit(o.recordLimit))
	for e := range o.topology.Entities() {
		queue, _ := e.(Queue)
		errs = append(errs, o.recordable(e), r.Record(e, queue.Name))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &core.ValidationError{Method: "dial", Err: err}
	}
	return r, nil
}

// recordable says why an entity cannot be declared from the record alone.
func (o *options) recordable(e topology.Entity) error {
	once := false
	switch e := e.(type) {
	case Exchange:
		once = e.NoReplay
	case Queue:
		if once = e.NoReplay; e.Name == "" {
			return fmt.Errorf("%s: WithTopology needs a name, Client.Declare does without", e)
		}
	case Binding:
		if once = e.NoReplay; e.Destination == "" {
			return fmt.Errorf("%s: WithTopology needs the name of the queue", e)
		}
	}
	switch {
	case once:
		return fmt.Errorf("%s: it is marked NoReplay, so WithTopology would never declare it: use Client.Declare", e)
	case o.recordMode != topology.RecordModeAll:
		return fmt.Errorf("%s: WithTopology needs RecordModeAll", e)
	}
	return nil
}

// Topology returns what the client has declared and not deleted: what is declared again after a loss. It is a
// copy, under the names that queues have now.
func (c *Client) Topology() Topology { return c.recorder.Snapshot() }

// RecordStats counts what is recorded.
func (c *Client) RecordStats() topology.RecordStats { return c.recorder.Stats() }

// Forget makes sure that what t names is not declared again, and leaves it on the broker as it is. The bindings
// of an exchange or a queue are forgotten with it. Queues may be named by earlier names; of a binding
// every field counts, its arguments too. What is not recorded is ignored.
func (c *Client) Forget(t Topology) {
	c.main.Forget(func(r *record.Recorder) { r.Forget(t) })
}

// QueueName returns the present name of a queue whose name the broker chose: another one after each loss of the
// queue. declared is any that it had, the first among them; of further ones the latest 15 are known. A
// name that is not known is returned as it is.
func (c *Client) QueueName(declared string) string { return c.recorder.Resolve(declared) }
