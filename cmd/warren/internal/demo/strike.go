package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/publisher"
)

// runFaults makes the faults, each when its time has come and the client is back
// from the one before. It says of each that it strikes, so that publishing goes
// on meanwhile. The verdicts of the bad publishes are awaited beside all that.
func (r *run) runFaults(work, live context.Context, faults []fault, struck chan<- struct{}) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	verdicts := make(chan error, len(faults))
	bad := 0
	for i, f := range faults {
		for int(r.settled.Load()) < f.at {
			select {
			case <-tick.C:
			case <-work.Done():
				return nil
			}
		}
		r.screen.fault(f.kind, i+1, len(faults), int(r.settled.Load()))
		struck <- struct{}{}
		receipt, err := r.strike(work, live, f.kind)
		if err != nil {
			return fmt.Errorf("%s: %w", f.kind, err)
		}
		if receipt != nil {
			bad++
			go func() { verdicts <- r.runVerdict(live, receipt) }()
		}
	}
	for ; bad > 0; bad-- {
		select {
		case err := <-verdicts:
			if err != nil {
				return err
			}
		case <-work.Done():
			return nil
		}
	}
	return nil
}

// runVerdict waits for what a bad publish ends in, which must be its refusal.
func (r *run) runVerdict(live context.Context, receipt *publisher.Receipt) error {
	if _, err := receipt.Wait(live); live.Err() == nil && !errors.Is(err, core.ErrNotFound) {
		return fmt.Errorf("publish to an exchange that does not exist: want it refused, got %w", err)
	}
	if live.Err() == nil {
		r.screen.say("refused, as it must be: the publish to an exchange that does not exist, at attempt %d", receipt.Attempts())
	}
	return nil
}

// strike makes one fault, and returns the receipt of the publish that is one.
func (r *run) strike(work, live context.Context, k Kind) (*publisher.Receipt, error) {
	if k == Soft {
		// The broker closes the channel that all others are published on too.
		return r.pub.Send(live, warren.Message{Exchange: r.cfg.Queue + ".missing", RoutingKey: "x"})
	}
	select {
	case <-r.back: // of an outage that nobody made
	default:
	}
	if k == Reset {
		r.target.reset()
	} else if err := r.target.kill(work); err != nil {
		return nil, err
	}
	select {
	case <-r.back:
	case <-work.Done():
	}
	return nil, nil
}
