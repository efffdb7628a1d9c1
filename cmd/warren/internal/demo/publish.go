package demo

import (
	"context"
	"fmt"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/publisher"
)

// sent is a message whose outcome is to come.
type sent struct {
	id      ledger.ID
	receipt *publisher.Receipt
}

// publishAll publishes the messages, up to the end of work, and waits for every
// outcome. What was published by the end of live has one too.
func (r *run) publishAll(work, live context.Context, faults []fault, struck <-chan struct{}) error {
	p := r.ledger.Publisher()
	inFlight := make(chan sent, publisher.DefaultMaxMessages)
	collected := make(chan struct{})
	go r.runCollect(p, inFlight, collected)
	defer func() { <-collected }()
	defer close(inFlight)
	for i := range r.cfg.N {
		for len(faults) > 0 && i >= faults[0].latest {
			select {
			case <-struck:
				faults = faults[1:]
			case <-work.Done():
				return nil
			}
		}
		if work.Err() != nil {
			return nil
		}
		m := p.Next(0, r.cfg.Size)
		receipt, err := r.pub.Send(live, warren.Message{RoutingKey: "demo.message", Body: m.Body})
		if err != nil {
			p.Result(m.ID, ledger.NotSent)
			return fmt.Errorf("publish: %w", err)
		}
		inFlight <- sent{m.ID, receipt}
	}
	return nil
}

// runCollect notes the outcomes, in the order of publishing.
func (r *run) runCollect(p *ledger.Publisher, inFlight <-chan sent, done chan<- struct{}) {
	defer close(done)
	for s := range inFlight {
		<-s.receipt.Done()
		p.Result(s.id, ledger.Outcome(s.receipt.Verdict().Outcome)) // the numbers are the same
		r.settled.Add(1)
	}
}
