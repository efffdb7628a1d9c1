package record

import (
	"context"
	"errors"

	"github.com/warren-mq/warren/core"
)

// Looking costs next to nothing on two channels while everything is there:
// each that is opened costs the broker as much as a dozen answers. But each
// entity that is missing costs its channel, and those that wait behind it a
// round trip; so when several are, many channels go on.
const (
	lookChannels   = 2
	lookWindow     = 16384 // one round trip for all; little is ever redone
	fewMissing     = 8
	searchChannels = 32
)

// Missing makes passive declarations and returns those to which the broker said
// that it knows no such thing, with its words. One that it does not let this connection look
// at is taken to be there. The errors are those of [Replay]; it gives up with
// [ErrTooManyRefused] after limit refusals, 0 meaning never.
func Missing(ctx context.Context, conn *core.Conn, steps []Step, limit int) (missing map[core.Method]error, err error) {
	missing = map[core.Method]error{}
	for _, how := range []Replayer{
		{Channels: lookChannels, Window: lookWindow, MaxRefused: fewMissing},
		{Channels: searchChannels, MaxRefused: limit},
	} {
		var results []Result
		results, err = how.Replay(ctx, conn, steps)
		for _, r := range results {
			if errors.Is(r.Err, core.ErrNotFound) {
				missing[r.Step.Method] = r.Err
			}
		}
		if !errors.Is(err, ErrTooManyRefused) {
			break
		}
		steps = unanswered(steps, results)
	}
	return missing, err
}

// unanswered returns the steps that have no result.
func unanswered(steps []Step, results []Result) []Step {
	answered := map[core.Method]bool{}
	for _, r := range results {
		answered[r.Step.Method] = true
	}
	var rest []Step
	for _, s := range steps {
		if !answered[s.Method] {
			rest = append(rest, s)
		}
	}
	return rest
}

// Gone reports whether err says that a queue does not exist. RabbitMQ answers 404 too while the
// node that holds a queue is down: such a queue comes back, with its messages.
func Gone(err error) bool {
	e, missing := core.AsError(err), core.ErrNotFound
	return e.Says(missing) && !e.Says(missing, "is down or inaccessible") && !e.Says(missing, "is stopped by supervisor")
}
