package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/recovery"
)

// Publisher publishes messages, each to exactly one outcome. All methods are
// safe for concurrent use; the messages of one goroutine keep their order.
//
// What was not confirmed when its channel died is published again on the next
// one, in order and before anything newer, under the same message id, until it
// is confirmed, returned or refused, its sender's context ends, or the
// publisher is closed. So a message can arrive more than once: consumers see
// the same message id. [AtMostOnce] turns that off.
//
// During an outage messages are accepted up to the [Window], then senders
// wait. While the broker blocks publishers (connection.blocked) they wait too.
type Publisher struct {
	conn *recovery.Connection
	cfg  config
	ids  idSource
	ctx  context.Context // ends when the publisher is closed
	stop context.CancelCauseFunc
	work chan struct{} // capacity 1: there is something for the runner
	done chan struct{} // closed when the runner has ended

	mu        sync.Mutex // guards the following, and every receipt
	started   bool
	draining  bool
	closed    error             // why nothing is accepted any more
	session   *recovery.Session // that the present channel is on
	live      *core.Channel     // where new messages go; nil: into the queue
	queue     queue
	lost      []*Receipt // of the present channel, which died, in the order sent
	refused   []*Receipt // nacked or returned, to be sent again after a pause
	refusals  int        // in a row
	group     int        // send so many, then wait for their verdicts; 0: no bound
	groupLeft int
	sent      int // in flight
	open      int // without an outcome
	openBytes int
	stats     Stats
	changed   gate.Gate // a message has its outcome, or the publisher ended
}

// New returns a publisher on conn, which stays idle until the first message.
// The error is about the options.
func New(conn *recovery.Connection, opts ...Option) (*Publisher, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	return &Publisher{
		conn: conn, cfg: cfg, ids: idSource{prefix: newPrefix()}, ctx: ctx, stop: stop,
		work: make(chan struct{}, 1), done: make(chan struct{}),
	}, nil
}

// Publish publishes m and waits for its outcome. A nil error means that the
// broker has confirmed it and, unless [AllowUnroutable], that at least one
// queue took it.
//
// Errors: a [*core.OutcomeError] with the outcome, whose cause is the end of
// ctx, [core.ErrClosed] or the broker's [*core.Error]; or a
// [*core.ValidationError] if m cannot be sent as it is. Only for
// [core.ErrUnknown] may the broker have the message all the same.
func (p *Publisher) Publish(ctx context.Context, m Message) error {
	r, err := p.send(ctx, &m)
	if err != nil {
		return err
	}
	if err := gate.Await(ctx, r.Done()); err != nil {
		p.abandon(r, err)
		<-r.Done()
	}
	return r.Verdict().Error()
}

// Send publishes m without waiting for its outcome, which the receipt tells.
// It waits, within ctx, while the window is full. The end of ctx later ends
// the message too, as not sent or unknown: use a context that lives as long as
// the message shall.
//
// Errors are those of [Publisher.Publish]; there is no receipt then.
func (p *Publisher) Send(ctx context.Context, m Message) (*Receipt, error) {
	r, err := p.send(ctx, &m)
	if err != nil || ctx.Done() == nil {
		return r, err
	}
	stop := context.AfterFunc(ctx, func() { p.abandon(r, context.Cause(ctx)) })
	p.mu.Lock()
	defer p.mu.Unlock()
	r.stop = stop
	if r.phase == over {
		stop()
	}
	return r, nil
}

// send admits m to the window and hands it to the live channel, or to the queue.
func (p *Publisher) send(ctx context.Context, m *Message) (*Receipt, error) {
	r := &Receipt{p: p, ctx: ctx, pub: p.publishing(m)}
	if err := p.admit(ctx, r); err != nil {
		return nil, err
	}
	for {
		ch, err := p.take(r)
		if ch == nil {
			return r, err
		}
		if err = ch.PublishTo(ctx, &r.pub, r); err == nil {
			return r, nil
		}
		if err := p.takeBack(ctx, ch, r, err); err != nil {
			return nil, err
		}
	}
}

// admit waits until the window has room for r.
func (p *Publisher) admit(ctx context.Context, r *Receipt) error {
	p.mu.Lock()
	for {
		switch {
		case p.closed != nil || p.draining:
			defer p.mu.Unlock()
			return notSent(p.closedBecause())
		case p.open == 0, p.open < p.cfg.maxMessages && p.openBytes+len(r.pub.Body) <= p.cfg.maxBytes:
			p.open++
			p.openBytes += len(r.pub.Body)
			p.start()
			p.mu.Unlock()
			return nil
		}
		changed := p.changed.Wait()
		p.mu.Unlock()
		if err := gate.Await(ctx, changed); err != nil {
			return notSent(err)
		}
		p.mu.Lock()
	}
}

// take returns the channel to publish r on. If there is none, r is queued; a
// message that could not be sent is refused at once.
func (p *Publisher) take(r *Receipt) (*core.Channel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed != nil:
		p.giveUp(r, p.closed)
		return nil, nil
	case p.live != nil:
		r.phase = inFlight
		r.attempts++
		p.sent++
		return p.live, nil
	}
	if err := validate(&r.pub); err != nil {
		p.release(r)
		return nil, err
	}
	p.queue.push(r)
	p.ring()
	return nil, nil
}

// takeBack undoes take: the channel did not accept r. A nil error means that
// the channel is dead, and r shall be handed over again.
func (p *Publisher) takeBack(ctx context.Context, ch *core.Channel, r *Receipt, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.phase = queued
	r.attempts--
	p.sent--
	if _, invalid := errors.AsType[*core.ValidationError](err); invalid {
		p.release(r)
		return err
	}
	if ctx.Err() != nil {
		p.release(r)
		return notSent(context.Cause(ctx))
	}
	if p.live == ch {
		p.live = nil
	}
	return nil
}

// release takes r out of the window without an outcome: its sender gets an error.
func (p *Publisher) release(r *Receipt) {
	r.phase = over
	p.open--
	p.openBytes -= len(r.pub.Body)
	p.changed.Wake()
}

// validate checks what the channel would check, for messages that wait for one.
func validate(pub *core.Publishing) error {
	err := errors.Join(
		wire.ValidateShortstr("exchange", pub.Exchange),
		wire.ValidateShortstr("routing key", pub.RoutingKey),
		pub.Properties.Validate(),
	)
	if err == nil && len(pub.Body) > core.MaxBody {
		err = fmt.Errorf("body of %d bytes, the limit is %d", len(pub.Body), core.MaxBody)
	}
	if err != nil {
		return &core.ValidationError{Method: wire.MethodBasicPublish.String(), Err: err}
	}
	return nil
}

func notSent(cause error) error {
	return core.Verdict{Outcome: core.NotSent, Err: cause}.Error()
}

func (p *Publisher) closedBecause() error {
	if p.closed != nil {
		return p.closed
	}
	return core.ErrClosed
}

// start starts the runner once. The lock is held.
func (p *Publisher) start() {
	if !p.started {
		p.started = true
		go p.runPublisher()
	}
}

// ring tells the runner that there is something to do.
func (p *Publisher) ring() {
	select {
	case p.work <- struct{}{}:
	default:
	}
}
