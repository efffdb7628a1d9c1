package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// Run runs the demo and returns its ledger. The error says what kept it from
// running to the end; the ledger then counts how far it came. When ctx ends,
// nothing new is published, what is under way is awaited for a bounded time,
// and the error is [ErrInterrupted].
func Run(ctx context.Context, cfg Config) (Result, error) {
	if err := cfg.validate(); err != nil {
		return Result{}, err
	}
	screen := newScreen(cfg.Out, cfg.Bar, cfg.N)
	t, err := startTarget(ctx, cfg, screen.say)
	if err != nil {
		return Result{}, interrupted(ctx, err)
	}
	defer t.close()
	r := &run{cfg: cfg, target: t, screen: screen, ledger: ledger.New(uint64(time.Now().UnixNano())), back: make(chan struct{}, 1)}
	err = r.do(ctx)
	return newResult(r.ledger.Summary(), !r.whole), err
}

// interrupted returns err, or what is to be said of it when ctx has ended.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return err
}

// run is one run of the demo.
type run struct {
	cfg     Config
	target  *target
	screen  *screen
	ledger  *ledger.Ledger
	client  *warren.Client
	pub     *publisher.Publisher
	up      readiness
	back    chan struct{} // a token when the client has come up again
	settled atomic.Int64  // messages that have their outcome
	whole   bool          // it went to its end
}

// endTimeout bounds the closing of the client.
const endTimeout = 10 * time.Second

func (r *run) do(ctx context.Context) (err error) {
	// 1st: a client and its topology.
	if err := r.open(ctx); err != nil {
		return interrupted(ctx, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		if left := r.cleanUp(ctx); left != nil {
			err = errors.Join(err, fmt.Errorf("queue and exchange %q are left on the broker: %w", r.cfg.Queue, left))
		}
		err = errors.Join(err, r.client.Close(ctx))
	}()
	// 2nd: a consumer, a publisher, faults, and the progress of it all. The end
	// of ctx ends what makes something new, and leaves the rest time to finish.
	live, end := context.WithCancelCause(context.WithoutCancel(ctx))
	work, stop := context.WithCancel(live)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	defer end(nil)
	faults := schedule(r.cfg.Faults, r.cfg.N, r.cfg.Seed)
	struck := make(chan struct{}, len(faults))
	failed := func(what string, err error) {
		if err != nil {
			end(fmt.Errorf("%s: %w", what, err))
		}
	}
	struckAll := make(chan struct{})
	all.Go(func() { r.runInterrupt(ctx, live, stop, end) })
	all.Go(func() { failed("consume", r.runConsumer(live)) })
	all.Go(func() { defer close(struckAll); failed("fault", r.runFaults(work, live, faults, struck)) })
	all.Go(func() { r.screen.runProgress(live, r.pub) })
	if err := r.publishAll(work, live, faults, struck); err != nil {
		end(err)
	}
	<-struckAll
	// 3rd: what was confirmed must arrive.
	if err := r.settle(live); err != nil {
		return err
	}
	r.whole = ctx.Err() == nil
	return interrupted(ctx, nil)
}

// runInterrupt waits for the end of ctx, then stops what makes something new,
// and some time later ends the rest.
func (r *run) runInterrupt(ctx, live context.Context, stop func(), end context.CancelCauseFunc) {
	select {
	case <-ctx.Done():
	case <-live.Done():
		return
	}
	r.screen.say("interrupted: waiting up to %s for what is under way; Ctrl-C again ends at once", r.cfg.drain)
	stop()
	bound := time.NewTimer(r.cfg.drain)
	defer bound.Stop()
	select {
	case <-bound.C:
		end(ErrInterrupted)
	case <-live.Done():
	}
}

// open connects and declares: a topic exchange, a quorum queue, a binding.
func (r *run) open(ctx context.Context) error {
	endpoint := r.target.cfg
	endpoint.Name = "warren demo"
	client, err := warren.Dial(ctx, "",
		warren.WithResolver(recovery.Endpoints(endpoint)),
		warren.WithListener(r.onEvent),
	)
	if err != nil {
		return err
	}
	name := r.cfg.Queue
	_, err = client.Declare(ctx, warren.Topology{
		Exchanges: []warren.Exchange{{Name: name, Type: "topic"}},
		Queues:    []warren.Queue{{Name: name, Type: "quorum"}},
		Bindings:  []warren.Binding{{Source: name, Destination: name, RoutingKey: "demo.#"}},
	})
	if err == nil {
		r.pub, err = client.Publisher(publisher.Exchange(name))
	}
	if err != nil {
		return errors.Join(err, client.Close(context.WithoutCancel(ctx)))
	}
	r.client = client
	r.ledger.Up()
	return nil
}

// onEvent notes outages in the ledger, and shows what happens.
func (r *run) onEvent(e warren.Event) {
	r.screen.event(e)
	switch r.up.note(e) {
	case wentDown:
		r.ledger.Down()
	case cameUp:
		r.ledger.Up()
		select {
		case r.back <- struct{}{}:
		default:
		}
	}
}

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

// runConsumer acks what it can read.
func (r *run) runConsumer(ctx context.Context) error {
	seen := r.ledger.Consumer(r.cfg.Queue)
	handle := func(_ context.Context, d *warren.Delivery) error {
		id, err := seen.Deliver(d.Body, d.Tag, d.Redelivered)
		seen.End(id, d.Tag, err)
		r.screen.delivered.Add(1)
		return nil // also if it is foreign: the ledger has it
	}
	return r.client.Consume(ctx, r.cfg.Queue, handle, consumer.Prefetch(500))
}

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

// settleTimeout bounds the wait for what is still on its way at the end.
const settleTimeout = 2 * time.Minute

// settle waits until everything confirmed has arrived; what has not by then is lost.
func (r *run) settle(live context.Context) error {
	bound := time.NewTimer(settleTimeout)
	defer bound.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if live.Err() != nil {
			return context.Cause(live)
		}
		if r.ledger.Summary().Lost == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-bound.C:
			return nil
		case <-live.Done():
		}
	}
}

// cleanUp deletes the topology from a broker that outlives the run.
func (r *run) cleanUp(ctx context.Context) error {
	if r.target.ours {
		return nil
	}
	conn, err := core.Dial(ctx, r.target.cfg)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // the deletions were answered
	ch, err := conn.Channel(ctx)
	if err != nil {
		return err
	}
	if _, err := ch.QueueDelete(ctx, core.QueueDelete{Queue: r.cfg.Queue}); err != nil {
		return err
	}
	return ch.ExchangeDelete(ctx, core.ExchangeDelete{Exchange: r.cfg.Queue})
}
