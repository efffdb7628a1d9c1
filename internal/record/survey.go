package record

import (
	"context"
	"errors"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
)

// Survey returns what has to be declared again after a loss, in the order of [Recorder.Plan]: what is lost for
// certain, what the broker does not have when it is asked, [Step.Missing], and all bindings from and to either;
// nothing that still lives, so no second server-named queue beside one that survived. What is lost stays recorded.
//
// Looking changes nothing on the broker and costs a few round trips. It saves the broker the work of
// declaring again what survived. Bindings are the dear part of that: RabbitMQ
// writes each to disk, new or not.
//
// A queue whose node is down is lost, and not missing: it comes back with its
// messages when the node does.
//
// A binding that somebody else removed between two survivors is not noticed.
// Where the next broker may be another one, or an empty one, the loss is
// [LossEverything]; that is also what is returned when many are missing. Only
// streams are looked for then, since their readers must know that
// offsets begin at 0 again. The errors are those of [Replay].
func (r *Recorder) Survey(ctx context.Context, conn *core.Conn, l Loss) ([]Phase, error) {
	if l == LossEverything {
		return r.surveyStreams(ctx, conn)
	}
	presumed, looks := r.presumed(l)
	absent, err := Missing(ctx, conn, looks, maxMissing)
	if errors.Is(err, ErrTooManyRefused) {
		return r.surveyStreams(ctx, conn)
	}
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	set := r.graph.lost(l)
	missing := map[*fate]bool{}
	for i, s := range looks {
		if v, refusal := presumed[i], absent[s.Method]; refusal != nil { // one that was deleted meanwhile has no bindings
			missing[&v.fate] = Gone(refusal)
			set.lose(v)
		}
	}
	phases := r.planLocked(set)
	for _, p := range phases {
		for i := range p.Steps {
			p.Steps[i].Missing = missing[p.Steps[i].fate]
		}
	}
	return phases, nil
}

// surveyStreams plans everything, and looks which streams are missing.
func (r *Recorder) surveyStreams(ctx context.Context, conn *core.Conn) ([]Phase, error) {
	phases := r.Plan()
	var streams []*Step
	var looks []Step
	for i := range phases[PhaseQueues].Steps {
		s := &phases[PhaseQueues].Steps[i]
		if s.Method.(*core.QueueDeclare).Arguments["x-queue-type"] == topology.Stream {
			streams, looks = append(streams, s), append(looks, LookForQueue(s.Name))
		}
	}
	missing, err := Missing(ctx, conn, looks, 0)
	if err != nil {
		return nil, err
	}
	for i, s := range streams {
		s.Missing = Gone(missing[looks[i].Method])
	}
	return phases, nil
}

// maxMissing is after how many missing entities the broker counts as empty.
const maxMissing = 256

// presumed returns what a loss should have spared, and how to look for it.
func (r *Recorder) presumed(l Loss) ([]*vertex, []Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expiry.sweep(r.graph, now())
	lost := r.graph.lost(l)
	var spared []*vertex
	var looks []Step
	look := func(v *vertex, s Step) {
		if v.replayed() && !lost.hasVertex(v) {
			spared, looks = append(spared, v), append(looks, s)
		}
	}
	for v := range values[*vertex](&r.graph.exchanges) {
		look(v, LookForExchange(v.name))
	}
	for v := range values[*vertex](&r.graph.queues) {
		look(v, LookForQueue(v.name))
	}
	return spared, looks
}
