package topology

import (
	"context"
	"errors"
	"fmt"

	"github.com/warren-mq/warren/core"
)

// Result is what became of one step.
type Result struct {
	Entity fmt.Stringer
	Name   string // a queue's name before; see [Step]
	Reply  core.Method
	Err    error // nil: declared
}

// Declared returns the name that a queue has now.
func (r Result) Declared() string {
	if ok, is := r.Reply.(*core.QueueDeclareOk); is {
		return ok.Queue
	}
	return r.Name
}

// window is how many declarations are in flight at once: enough to hide any
// round trip, few enough to redo cheaply behind a refused one.
const window = 1024

// Replay declares the steps of one phase on private channels of conn, without
// waiting for each: replies come in order, so when the broker refuses one and
// closes the channel, the number of replies names the culprit. The rest goes
// on behind it on a new channel, and no other channel is hurt.
//
// It returns a result for each step that was answered, and an error if the
// connection died or ctx ended before all were.
func Replay(ctx context.Context, conn *core.Conn, steps []Step) (results []Result, err error) {
	for len(steps) > 0 {
		n := min(len(steps), window)
		done, err := replayOnce(ctx, conn, steps[:n])
		results = append(results, done...)
		steps = steps[len(done):]
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

// replayOnce declares steps on one channel. It returns the results up to and
// including the first refusal.
func replayOnce(ctx context.Context, conn *core.Conn, steps []Step) ([]Result, error) {
	ch, err := conn.Channel(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = ch.Close(ctx) }() // nothing is left on it
	replies := make([]*core.Reply, 0, len(steps))
	var refused error
	for _, s := range steps {
		reply, err := ch.Request(ctx, s.Method)
		if err != nil {
			refused = err
			break
		}
		replies = append(replies, reply)
	}
	var results []Result
	for i, reply := range replies {
		m, err := reply.Wait(ctx)
		if err != nil && !isRefusal(err) {
			return results, err
		}
		results = append(results, Result{Entity: steps[i].Entity, Name: steps[i].Name, Reply: m, Err: err})
		if err != nil {
			return results, nil
		}
	}
	if refused == nil || len(results) == len(steps) {
		return results, nil
	}
	if !isRefusal(refused) { // the first one that could not even be sent
		return results, refused
	}
	return append(results, Result{Entity: steps[len(results)].Entity, Name: steps[len(results)].Name, Err: refused}), nil
}

// isRefusal reports whether err is about the entity: the broker closed the
// channel over it, did not answer it in time, or it could not be encoded.
func isRefusal(err error) bool {
	if e, ok := errors.AsType[*core.Error](err); ok {
		return e.Scope == core.ScopeChannel
	}
	_, invalid := errors.AsType[*core.ValidationError](err)
	return invalid || errors.Is(err, core.ErrTimeout)
}
