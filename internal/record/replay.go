package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/topology"
)

// Result is what became of one step.
type Result struct {
	Step   Step // as it was given
	Entity topology.Entity
	Name   string // a queue's name before; see [Step]
	Reply  core.Method
	Err    error // nil: declared
}

// QueueName returns the name that a queue has now.
func (r Result) QueueName() string {
	if ok, is := r.Reply.(*core.QueueDeclareOk); is {
		return ok.Queue
	}
	return r.Name
}

// Replayer says how steps are declared. The zero value is ready for use.
type Replayer struct {
	// Channels is how many channels are used at once; RabbitMQ creates queues
	// faster on several. Fewer are used for few steps. Default 8.
	Channels int
	// Window is how many declarations are in flight on a channel: enough to
	// hide any round trip, few enough to redo cheaply behind a refused one.
	// Default 1024; 1 declares one by one, on one channel if Channels is 1.
	Window int
	// MaxRefused, if not 0, has the replay give up with [ErrTooManyRefused] when
	// more than so many steps were refused. Channels that meet no refusal still
	// finish; steps that were not answered have no result.
	MaxRefused int
}

// ErrTooManyRefused: see [Replayer].
var ErrTooManyRefused = errors.New("topology: too many refusals")

const (
	defaultChannels = 8
	defaultWindow   = 1024
	laneSteps       = 16 // worth a channel of their own
)

// Replay is [Replayer.Replay] with the defaults.
func Replay(ctx context.Context, conn *core.Conn, steps []Step) (results []Result, err error) {
	return Replayer{}.Replay(ctx, conn, steps)
}

// Replay declares the steps of one phase on private channels of conn, without
// waiting for each: replies come in order, so when the broker refuses one and
// closes the channel, the number of replies names the entity. The rest goes
// on behind it on a new channel, and no other channel is hurt. A declaration
// that is not answered within [core.Config].RPCTimeout condemns its channel
// in the same way, its result is [core.ErrTimeout].
//
// It returns a result for each step that was answered, in the order of steps,
// and an [*InterruptedError] if the connection died, ctx ended or too many were
// refused before all were. A step that is no longer wanted (see [Step.Wanted]) is not declared,
// or taken back when that turns out too late, and has no result.
func (r Replayer) Replay(ctx context.Context, conn *core.Conn, steps []Step) ([]Result, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	channels, err := r.open(ctx, conn, len(steps))
	if err != nil {
		return nil, &InterruptedError{Err: err}
	}
	lanes := r.lanes(conn, channels, steps)
	var running sync.WaitGroup
	for _, l := range lanes {
		running.Go(func() { l.run(ctx) })
	}
	running.Wait()
	var results []Result
	for _, l := range lanes {
		results = append(results, l.results...)
	}
	err = interrupted(lanes)
	if err == nil || errors.Is(err, ErrTooManyRefused) {
		err = cmp.Or(undo(ctx, conn, lanes), err)
	}
	return results, err
}

// open opens as many channels as so many steps are worth, or as the
// connection has left, at least one.
func (r Replayer) open(ctx context.Context, conn *core.Conn, steps int) ([]*core.Channel, error) {
	n := r.Channels
	if n <= 0 {
		n = defaultChannels
	}
	n = max(1, min(n, steps/laneSteps))
	channels, errs := make([]*core.Channel, n), make([]error, n)
	var opening sync.WaitGroup
	for i := range n {
		opening.Go(func() { channels[i], errs[i] = conn.Channel(ctx) })
	}
	opening.Wait()
	channels = slices.DeleteFunc(channels, func(ch *core.Channel) bool { return ch == nil })
	for _, err := range errs {
		if err != nil && (len(channels) == 0 || !errors.Is(err, core.ErrChannelsExhausted)) {
			for _, ch := range channels {
				_ = ch.Close(ctx) // the other error counts
			}
			return nil, err
		}
	}
	return channels, nil
}

// lanes deals the steps out.
func (r Replayer) lanes(conn *core.Conn, channels []*core.Channel, steps []Step) []*lane {
	window, n := r.Window, len(channels)
	if window <= 0 {
		window = defaultWindow
	}
	var lanes []*lane
	var refused atomic.Int64
	for i, ch := range channels {
		part := steps[i*len(steps)/n : (i+1)*len(steps)/n]
		lanes = append(lanes, &lane{
			conn: conn, first: ch, window: window, given: part, steps: slices.Clone(part),
			refused: &refused, maxRefused: int64(r.MaxRefused),
		})
	}
	return lanes
}

// InterruptedError is a replay that was broken off: conn died or ctx ended.
type InterruptedError struct {
	// InFlight are the steps that were sent and not answered. The broker
	// handles the steps of a channel in order, so the first of each channel
	// come first.
	InFlight []Step
	Err      error // why
}

// Error returns the cause and how many steps were in flight, if any.
func (e *InterruptedError) Error() string {
	if len(e.InFlight) == 0 {
		return fmt.Sprintf("replay interrupted: %v", e.Err)
	}
	return fmt.Sprintf("replay interrupted with %d declarations in flight: %v", len(e.InFlight), e.Err)
}

// Unwrap returns the cause.
func (e *InterruptedError) Unwrap() error { return e.Err }

// Suspects returns those of the steps in flight that may have made the broker
// close the connection, the likeliest first; none if it does not blame a
// declaration. One that names no method may mean any. Several are told apart by
// declaring them one by one on the next connection: see [Replayer].
func (e *InterruptedError) Suspects() []Step {
	refusal := core.AsError(e.Err)
	var s []Step
	for _, step := range e.InFlight {
		if refusal.MayBeOver(step.Method.ID()) {
			s = append(s, step)
		}
	}
	return s
}

func interrupted(lanes []*lane) error {
	var e *InterruptedError
	for _, l := range lanes {
		if l.err != nil && e == nil {
			e = &InterruptedError{Err: l.err}
		}
	}
	if e == nil {
		return nil
	}
	for i := 0; ; i++ {
		more := false
		for _, l := range lanes {
			if i < len(l.inFlight) {
				e.InFlight = append(e.InFlight, l.inFlight[i])
				more = true
			}
		}
		if !more {
			return e
		}
	}
}

// isRefusal reports whether err is about the entity: the broker closed the
// channel over it, did not answer it in time, or it could not be encoded.
func isRefusal(err error) bool {
	return core.AsError(err).ClosedChannel() || isInvalid(err) || errors.Is(err, core.ErrTimeout)
}

func isInvalid(err error) bool {
	_, invalid := errs.AsType[*core.ValidationError](err)
	return invalid
}
