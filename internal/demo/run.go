package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// Run runs the demo and returns its ledger. The error says what kept it from
// running to the end; the ledger then counts how far it came.
func Run(ctx context.Context, cfg Config) (ledger.Summary, error) {
	if err := cfg.validate(); err != nil {
		return ledger.Summary{}, err
	}
	screen := newScreen(cfg.Out, cfg.Bar, cfg.N)
	t, err := startTarget(ctx, cfg, screen.say)
	if err != nil {
		return ledger.Summary{}, err
	}
	defer t.close()
	r := &run{cfg: cfg, target: t, screen: screen, ledger: ledger.New(uint64(time.Now().UnixNano()))}
	err = r.do(ctx)
	return r.ledger.Summary(), err
}

// run is one run of the demo.
type run struct {
	cfg    Config
	target *target
	screen *screen
	ledger *ledger.Ledger
	client *warren.Client
	pub    *publisher.Publisher
	up     readiness
}

// endTimeout bounds the closing of the client.
const endTimeout = 10 * time.Second

func (r *run) do(ctx context.Context) (err error) {
	// 1st: a client and its topology.
	if err := r.open(ctx); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		err = errors.Join(err, r.cleanUp(ctx), r.client.Close(ctx))
	}()
	// 2nd: a consumer, a publisher, faults, and the progress of it all.
	work, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	failed := make(chan error, 2)
	all.Go(func() { failed <- r.runConsumer(work) })
	all.Go(func() { failed <- r.runFaults(work) })
	all.Go(func() { r.screen.runProgress(work, r.pub) })
	if err := r.publishAll(ctx, failed); err != nil {
		return err
	}
	// 3rd: what was confirmed must arrive.
	return r.settle(ctx, failed)
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
		Exchanges: []warren.Exchange{{Name: name, Kind: "topic"}},
		Queues:    []warren.Queue{{Name: name, Type: "quorum"}},
		Bindings:  []warren.Binding{{Source: name, Destination: name, Key: "demo.#"}},
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
	}
}

// sent is a message whose outcome is to come.
type sent struct {
	id      ledger.ID
	receipt *publisher.Receipt
}

// publishAll publishes the messages and waits for every outcome.
func (r *run) publishAll(ctx context.Context, failed <-chan error) error {
	p := r.ledger.Publisher()
	inFlight := make(chan sent, publisher.DefaultMaxMessages)
	collected := make(chan struct{})
	go runCollect(p, inFlight, collected)
	defer func() { <-collected }()
	defer close(inFlight)
	for range r.cfg.N {
		select {
		case err := <-failed:
			if err != nil {
				return err
			}
		default:
		}
		m := p.Next(0, r.cfg.Size)
		receipt, err := r.pub.Send(ctx, warren.Message{Key: "demo.message", Body: m.Body})
		if err != nil {
			p.Result(m.ID, ledger.NotSent)
			return fmt.Errorf("publish: %w", err)
		}
		inFlight <- sent{m.ID, receipt}
	}
	return nil
}

// runCollect notes the outcomes, in the order of publishing.
func runCollect(p *ledger.Publisher, inFlight <-chan sent, done chan<- struct{}) {
	defer close(done)
	for s := range inFlight {
		<-s.receipt.Done()
		p.Result(s.id, ledger.Outcome(s.receipt.Verdict().Outcome)) // the numbers are the same
	}
}

// runConsumer acks what it can read.
func (r *run) runConsumer(ctx context.Context) error {
	seen := r.ledger.Consumer(r.cfg.Queue)
	handle := func(_ context.Context, d *warren.Delivery) error {
		id, err := seen.Deliver(d.Body, d.Tag, d.Redelivered)
		seen.End(id, d.Tag, err)
		r.screen.consumed.Add(1)
		return nil // also if it is foreign: the ledger has it
	}
	return r.client.Consume(ctx, r.cfg.Queue, handle, consumer.Prefetch(500))
}

// runFaults makes the faults of the schedule, each when its time has come and
// the one before has passed.
func (r *run) runFaults(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, f := range schedule(r.cfg.Faults, r.cfg.N, r.cfg.Seed) {
		for int(r.pub.Stats().Confirmed) < f.at {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
		r.screen.fault(f.kind)
		if err := r.strike(ctx, f.kind); err != nil && ctx.Err() == nil {
			return fmt.Errorf("fault %s: %w", f.kind, err)
		}
	}
	return nil
}

func (r *run) strike(ctx context.Context, k Kind) error {
	switch k {
	case Kill:
		return r.target.kill(ctx)
	case Reset:
		r.target.reset()
		return nil
	default:
		// The broker closes the channel that all others are published on too.
		err := r.pub.Publish(ctx, warren.Message{Exchange: r.cfg.Queue + ".missing", Key: "x"})
		if !errors.Is(err, core.ErrNotFound) {
			return fmt.Errorf("publish to an exchange that does not exist: %w", err)
		}
		return nil
	}
}

// settleTimeout bounds the wait for what is still on its way at the end.
const settleTimeout = 2 * time.Minute

// settle waits until everything confirmed has arrived; what has not by then is lost.
func (r *run) settle(ctx context.Context, failed <-chan error) error {
	bound := time.NewTimer(settleTimeout)
	defer bound.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for r.ledger.Summary().Lost > 0 {
		select {
		case err := <-failed:
			if err != nil {
				return err
			}
		case <-tick.C:
		case <-bound.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
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
