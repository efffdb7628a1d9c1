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
