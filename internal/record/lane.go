package record

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/warren-mq/warren/core"
)

// lane declares its steps in order, on one channel after another.
type lane struct {
	conn   *core.Conn
	first  *core.Channel // open already; nil if it is used, or there was none
	window int
	given  []Step
	steps  []Step // its own copy, in which Else takes the place of Method

	refused    *atomic.Int64 // by all lanes
	maxRefused int64         // 0: any number

	next     int // the first step without a verdict
	results  []Result
	late     []late // declared, and no longer wanted
	inFlight []Step // when err was met
	err      error
}

// late is a step that was declared although it was no longer wanted.
type late struct {
	step Step
	name string // a queue's
}

// run works until every step has its verdict, or err is met.
func (l *lane) run(ctx context.Context) {
	for l.err == nil && l.next < len(l.steps) {
		l.once(ctx)
		if l.maxRefused > 0 && l.refused.Load() > l.maxRefused {
			l.err = ErrTooManyRefused
		}
	}
}

// sent is a step that was sent; if it could not be, err says why.
type sent struct {
	Step
	reply *core.Reply
	err   error
}

// once declares on one channel, until the first refusal.
func (l *lane) once(ctx context.Context) {
	ch := l.first
	if l.first = nil; ch == nil {
		if ch, l.err = l.conn.Channel(ctx); l.err != nil {
			return
		}
	}
	defer l.leave(ctx, ch)
	var flight []sent
	var broken error // the channel takes no more
	for to := l.next; ; {
		// 1st: keep the window full.
		for broken == nil && to < len(l.steps) && len(flight) < l.window {
			s := send(ctx, ch, l.steps[to])
			if s.reply == nil && s.err != nil && !isInvalid(s.err) {
				broken = s.err // most likely for a step in flight
				break
			}
			flight = append(flight, s)
			to++
		}
		if len(flight) == 0 {
			l.unsendable(broken)
			return
		}
		// 2nd: the verdict on the oldest.
		if !l.settle(ctx, flight) {
			return
		}
		flight = flight[1:]
	}
}

// send sends a step unless it is no longer wanted.
func send(ctx context.Context, ch *core.Channel, s Step) sent {
	if !s.Wanted() {
		return sent{Step: s}
	}
	s = s.present()
	reply, err := ch.Request(ctx, s.Method)
	return sent{s, reply, err}
}

// settle waits for the verdict on the oldest step in flight, and reports
// whether the channel is good for more.
func (l *lane) settle(ctx context.Context, flight []sent) bool {
	s := flight[0]
	if s.reply == nil {
		l.verdict(s, nil, s.err)
		return true
	}
	reply, err := s.reply.Wait(ctx)
	switch {
	case err == nil:
		l.verdict(s, reply, nil)
		return true
	case ctx.Err() != nil || l.conn.Err() != nil || !isRefusal(err): // a connection can die of a timeout too
		l.fail(err, flight)
	case s.Else != nil && (errors.Is(err, core.ErrNotFound) || errors.Is(err, core.ErrResourceLocked)):
		l.steps[l.next].Method, l.steps[l.next].Else = s.Else, nil
	default:
		l.verdict(s, nil, err)
	}
	return false
}

// verdict notes what became of the next step.
func (l *lane) verdict(s sent, reply core.Method, err error) {
	given := l.given[l.next]
	l.next++
	if err != nil {
		l.refused.Add(1)
	}
	r := Result{Step: given, Entity: s.Entity, Name: s.Name, Reply: reply, Err: err}
	switch {
	case s.Wanted():
		l.results = append(l.results, r)
	case reply != nil:
		l.late = append(l.late, late{s.Step, r.QueueName()})
	}
}

// unsendable is called when nothing is in flight. If the channel broke before
// a step could be sent, that step counts as refused, or it would be tried for ever.
func (l *lane) unsendable(broken error) {
	switch {
	case broken == nil: // all done
	case l.conn.Err() == nil && isRefusal(broken):
		l.verdict(sent{Step: l.steps[l.next]}, nil, broken)
	default:
		l.fail(broken, nil)
	}
}

func (l *lane) fail(err error, flight []sent) {
	l.err = err
	for _, s := range flight {
		if s.reply != nil {
			l.inFlight = append(l.inFlight, s.Step)
		}
	}
}

// leave closes a channel. That the connection lives when it is closed is what
// makes the verdicts good: what was declared for the connection is still there.
func (l *lane) leave(ctx context.Context, ch *core.Channel) {
	_ = ch.Close(ctx) // nothing is left on it, and it is given up if ctx ends
	if err := l.conn.Err(); err != nil && l.err == nil {
		l.err = err
	}
}

// undo takes back what was declared just when the application deleted it, or
// gave up its last consumer or binding: which of the two the broker saw first
// is not known.
func undo(ctx context.Context, conn *core.Conn, lanes []*lane) error {
	var steps []Step
	for _, l := range lanes {
		for _, late := range l.late {
			if m := late.step.inverse(late.name); m != nil {
				steps = append(steps, Step{Entity: late.step.Entity, Method: m})
			}
		}
	}
	if len(steps) == 0 {
		return nil
	}
	l := &lane{conn: conn, window: defaultWindow, given: steps, steps: steps, refused: new(atomic.Int64)}
	l.run(ctx) // refusals mean that it is in use again
	return interrupted([]*lane{l})
}
