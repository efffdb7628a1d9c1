package record_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// TestRecorderFollowsTheModel runs random histories on the recorder and on
// the model, and compares what they hold after each step.
func TestRecorderFollowsTheModel(t *testing.T) {
	for seed := range uint64(300) {
		h := &history{rand: rand.New(rand.NewPCG(seed, 1)), r: record.NewRecorder(), m: newModel()}
		for range 120 {
			h.step()
			if got, want := h.r.Snapshot(), h.m.snapshot().Clone(); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d:\n%s\nrecorded %+v\nwant     %+v", seed, strings.Join(h.log, "\n"), got, want)
			}
		}
	}
}

// history is a random sequence of what applications and brokers do.
type history struct {
	rand  *rand.Rand
	r     *record.Recorder
	m     *model
	named int // server-named queues so far
	log   []string
}

func (h *history) step() {
	switch n := h.rand.IntN(20); {
	case n < 3:
		e := topology.Exchange{Name: h.name("x"), AutoDelete: h.coin()}
		h.note("declare %v auto-delete %v", e, e.AutoDelete)
		_ = h.r.Exchange(e)
		h.m.declareExchange(e)
	case n < 6:
		h.declareQueue()
	case n < 11:
		b := h.binding()
		h.note("bind %v %v", b, b.Arguments)
		_ = h.r.Binding(b)
		h.m.bind(b)
	case n < 13:
		h.unbind()
	case n < 14:
		x := h.name("x")
		h.note("delete exchange %s", x)
		h.r.DeleteExchange(x)
		h.m.deleteExchange(x)
	case n < 15:
		q := h.queue()
		h.note("delete queue %s", q)
		h.r.DeleteQueue(q)
		h.m.deleteQueue(q)
	case n < 17:
		q := h.queue()
		h.note("consume %s", q)
		h.r.ConsumerAdded(q)
		h.m.consume(q)
	case n < 19:
		q := h.queue()
		h.note("cancel %s", q)
		h.r.ConsumerRemoved(q)
		h.m.cancel(q)
	default:
		h.rename()
	}
}

func (h *history) declareQueue() {
	q := topology.Queue{Name: h.name("q"), AutoDelete: h.coin()}
	name := q.Name
	if h.rand.IntN(3) == 0 {
		h.named++
		q.Name, name = "", fmt.Sprintf("amq.gen-%d", h.named)
	}
	h.note("declare queue %s auto-delete %v", name, q.AutoDelete)
	_ = h.r.Queue(q, name)
	h.m.declareQueue(q, name)
}

// unbind mostly removes a binding that is there.
func (h *history) unbind() {
	b := h.binding()
	if n := len(h.m.bindings); n > 0 && h.rand.IntN(4) > 0 {
		b = h.m.bindings[h.rand.IntN(n)]
	}
	h.note("unbind %v %v", b, b.Arguments)
	h.r.DeleteBinding(b)
	b = h.m.present(b)
	h.m.unbind(func(o topology.Binding) bool { return reflect.DeepEqual(o, b) })
}

func (h *history) rename() {
	if h.named == 0 {
		return
	}
	old := h.m.resolve(fmt.Sprintf("amq.gen-%d", 1+h.rand.IntN(h.named)))
	h.named++
	name := fmt.Sprintf("amq.gen-%d", h.named)
	h.note("rename %s to %s", old, name)
	h.r.Renamed(old, name)
	h.m.rename(old, name)
}

func (h *history) binding() topology.Binding {
	b := topology.Binding{Source: h.name("x"), Destination: h.queue(), RoutingKey: h.name("k")}
	if h.rand.IntN(3) == 0 {
		b.ToExchange, b.Destination = true, h.name("x")
	}
	if h.rand.IntN(3) == 0 {
		b.Arguments = topology.Table{"x-match": h.name("m")}
	}
	return b
}

// queue picks a queue's name, at times an outdated or a missing one.
func (h *history) queue() string {
	if h.named > 0 && h.coin() {
		return fmt.Sprintf("amq.gen-%d", 1+h.rand.IntN(h.named))
	}
	return h.name("q")
}

func (h *history) name(kind string) string { return fmt.Sprintf("%s%d", kind, h.rand.IntN(4)) }
func (h *history) coin() bool              { return h.rand.IntN(2) == 0 }
func (h *history) note(format string, a ...any) {
	h.log = append(h.log, fmt.Sprintf(format, a...))
}
