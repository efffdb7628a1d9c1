package brokertest

import (
	"slices"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/hook"
)

// Event is a method on its way.
type Event struct {
	Connection int // see Connection.ID
	Channel    uint16
	Method     wire.Method
	Properties wire.Properties // of a method with content
	Body       []byte          // likewise; not to be changed
	N          int             // which it is of those that the hook was asked about, from 1
}

// Frame is a frame on its way.
type Frame struct {
	Connection int
	Channel    uint16
	Type       uint8 // as wire.FrameMethod
	Size       int   // of the payload, in octets
	N          int   // which it is of those that the hook was asked about, from 1
}

// Hook is a function that the broker asks what to do.
type Hook struct {
	b     *Broker
	id    wire.MethodID // 0: every method
	event func(Event) Action
	frame func(Frame) Action
	hits  int // guarded by Broker.mu
}

// Hits returns how often the hook was asked.
func (h *Hook) Hits() int {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	return h.hits
}

// Remove ends the hook. A call that has begun goes on.
func (h *Hook) Remove() {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	is := func(other *Hook) bool { return other == h }
	h.b.receiving = slices.DeleteFunc(slices.Clone(h.b.receiving), is)
	h.b.sending = slices.DeleteFunc(slices.Clone(h.b.sending), is)
	h.b.filter()
}

// OnReceive has f asked about every method of a kind that clients send, or about every method if id is 0,
// when it has come in whole, content included. Of several hooks the first that does not say [Pass] decides.
//
// The function may call any method of the broker but Close, and holds up the connection for as long as it
// takes. One that ends its goroutine, as FailNow of package testing does, has said [Pass].
func (b *Broker) OnReceive(id wire.MethodID, f func(Event) Action) *Hook {
	return b.hook(&b.receiving, &Hook{b: b, id: id, event: f})
}

// OnSend has f asked about every method of a kind that the broker sends, or about every method if id is 0.
// To the broker it is sent, whatever the hook says. See [Broker.OnReceive].
func (b *Broker) OnSend(id wire.MethodID, f func(Event) Action) *Hook {
	return b.hook(&b.sending, &Hook{b: b, id: id, event: f})
}

// OnReceiveFrame has f asked about every frame that clients send. Only [Pass], [Swallow], [Cut], [End], [Hang]
// and [Delay] have a meaning for frames.
func (b *Broker) OnReceiveFrame(f func(Frame) Action) *Hook {
	return b.hook(&b.receiving, &Hook{b: b, frame: f})
}

// OnSendFrame has f asked about every frame that the broker sends. See [Broker.OnReceiveFrame].
func (b *Broker) OnSendFrame(f func(Frame) Action) *Hook {
	return b.hook(&b.sending, &Hook{b: b, frame: f})
}

func (b *Broker) hook(list *[]*Hook, h *Hook) *Hook {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(slices.Clone(*list), h)
	b.filter()
	return h
}

// filter has the writers look at each frame if there is a reason to. Caller holds mu.
func (b *Broker) filter() { b.filtering.Store(len(b.sending) > 0 || b.transcribe) }

// Always answers every question alike.
func Always(a Action) func(Event) Action {
	return func(Event) Action { return a }
}

// Nth answers only the n-th question so, counted from 1.
func Nth(n int, a Action) func(Event) Action {
	return func(e Event) Action {
		if e.N == n {
			return a
		}
		return Pass
	}
}

// Sometimes answers with a probability so. Chance comes from the broker's seed, see [WithSeed].
func (b *Broker) Sometimes(probability float64, a Action) func(Event) Action {
	return func(Event) Action {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.chance.Float64() < probability {
			return a
		}
		return Pass
	}
}

// ask asks the hooks about an event and returns the first answer that is not Pass.
func (b *Broker) ask(hooks []*Hook, e Event) Action {
	for _, h := range hooks {
		if h.event == nil || h.id != 0 && h.id != e.Method.ID() {
			continue
		}
		e.N = h.count()
		if a := answerOf(h.event, e); !a.passes() {
			return a
		}
	}
	return Pass
}

// askFrame does the same about a frame.
func (b *Broker) askFrame(hooks []*Hook, f Frame) Action {
	for _, h := range hooks {
		if h.frame == nil {
			continue
		}
		f.N = h.count()
		if a := answerOf(h.frame, f); !a.passes() {
			return a
		}
	}
	return Pass
}

// answerOf asks a function of the test, on a goroutine of its own: FailNow ends that, and not the connection.
func answerOf[T any](f func(T) Action, about T) Action {
	a, err := hook.Call(func() (Action, error) { return f(about), nil })
	if err != nil {
		return Pass
	}
	return a
}

func (h *Hook) count() int {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	h.hits++
	return h.hits
}

func (a Action) passes() bool {
	return a.delay == 0 && !a.hang && !a.cut && !a.end && !a.swallow && a.verdict == usual
}
