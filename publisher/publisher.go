package publisher

import (
	"context"
	"fmt"
	"sync"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/gate"
	"github.com/warren-mq/warren/internal/session"
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
	conn *session.Connection
	cfg  config
	ctx  context.Context // ends when the publisher is closed
	stop context.CancelCauseFunc
	work chan struct{} // capacity 1: there is something for the runner
	done chan struct{} // closed when the runner has ended
	pool sync.Pool     // receipts for Publish, which gives none away

	mu        sync.Mutex // guards the following, and every receipt
	ids       idSource
	started   bool
	draining  bool
	closed    error            // why nothing is accepted any more
	session   *session.Session // that the present channel is on
	physical  *core.Conn       // that it is on: the session's, or one of its own
	unopened  error            // why there is no channel though there is a connection
	apart     bool             // a message is sought over which the broker closes the connection
	live      *core.Channel    // where new messages go; nil: into the queue
	window    window
	queue     queue
	lost      []*Receipt // of the present channel, which died
	refused   refused
	isolation isolation
	sent      int        // in flight, those given up meanwhile included
	givenUp   []*Receipt // given up in flight on the present channel
	abandoned int        // since the last trim
	stats     Stats
	changed   gate.Gate // no message is without an outcome, or the publisher ended
}

// New returns a publisher on conn, which stays idle until the first message.
// The error is about the options.
func New(conn *session.Connection, opts ...Option) (*Publisher, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	return &Publisher{
		conn: conn, cfg: cfg, ctx: ctx, stop: stop, work: make(chan struct{}, 1), done: make(chan struct{}),
		window:    window{maxMessages: cfg.maxMessages, maxBytes: cfg.maxBytes},
		isolation: isolation{limit: cfg.maxMessages}, refused: newRefused(),
	}, nil
}

// Publish publishes m and waits for its outcome. A nil error means that the
// broker has confirmed it and, unless it was not [Mandatory], that at least one
// queue took it.
//
// Errors: a [*core.OutcomeError] with the outcome, whose cause is the end of
// ctx, [core.ErrClosed] or the broker's [*core.Error]; with the end of ctx comes
// what was waited for and why it did not come, for example [core.ErrBlocked], [core.ErrChannelsExhausted]
// or the [*core.DialError] of the last attempt to connect; or a
// [*core.ValidationError] if m cannot be sent as it is. Only for
// [core.ErrUnknown] may the broker have the message all the same, and for
// [core.ErrReturned] if it was sent more than once: that is said of the last time.
func (p *Publisher) Publish(ctx context.Context, m Message) error {
	r := p.pooled(ctx, &m)
	if err := p.send(ctx, r); err != nil {
		p.recycle(r)
		return err
	}
	return p.result(ctx, r)
}

// pooled returns a receipt that is given to nobody, and can be used again.
func (p *Publisher) pooled(ctx context.Context, m *Message) *Receipt {
	r, ok := p.pool.Get().(*Receipt)
	if !ok {
		r = &Receipt{p: p, signal: make(chan struct{}, 1)}
	}
	r.ctx = ctx
	p.publishing(r, m)
	return r
}

// result waits for the outcome of r. The end of ctx is one.
func (p *Publisher) result(ctx context.Context, r *Receipt) error {
	if cause := gate.Await(ctx, r.signal); cause != nil {
		p.abandon(r, cause)
		<-r.signal
	}
	err := addressed(r.verdict.Err(), r)
	if r.free {
		p.recycle(r)
	}
	return err
}

func (p *Publisher) recycle(r *Receipt) {
	*r = Receipt{p: p, signal: r.signal}
	p.pool.Put(r)
}

// Send publishes m without waiting for its outcome, which the receipt tells.
// It waits, within ctx, while the window is full. The end of ctx later ends
// the message too, as not sent or unknown: use a context that lives as long as
// the message shall.
//
// Errors are those of [Publisher.Publish]; there is no receipt then, nor is
// anything sent if ctx has ended before.
func (p *Publisher) Send(ctx context.Context, m Message) (*Receipt, error) {
	r := &Receipt{p: p, ctx: ctx}
	p.publishing(r, &m)
	if err := p.send(ctx, r); err != nil {
		return nil, err
	}
	if ctx.Done() == nil {
		return r, nil
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

// send admits r to the window and hands it to the live channel, or to the
// queue. After an error nobody refers to it.
func (p *Publisher) send(ctx context.Context, r *Receipt) error {
	ch, err := p.admit(ctx, r)
	for ch != nil {
		if err = ch.PublishTo(ctx, &r.pub, (*settler)(r)); err == nil {
			return nil
		}
		ch, err = p.takeBack(ctx, ch, r, err)
	}
	return addressed(err, r)
}

// addressed completes the error of a message's outcome with where it was to go.
func addressed(err error, r *Receipt) error {
	if e, ok := err.(*core.OutcomeError); ok {
		e.Exchange, e.RoutingKey = r.pub.Exchange, r.pub.RoutingKey
	}
	return err
}

// admit waits until the window has room for r, and returns the channel to
// publish it on.
func (p *Publisher) admit(ctx context.Context, r *Receipt) (*core.Channel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != nil || p.draining {
		return nil, p.notSentLocked(p.closedBecause())
	}
	if ctx.Err() != nil {
		return nil, p.notSentLocked(context.Cause(ctx))
	}
	if e := p.window.enter(len(r.pub.Body)); e != nil {
		p.mu.Unlock()
		err := gate.Await(ctx, e.done)
		p.mu.Lock()
		switch {
		case err != nil:
			p.window.withdraw(e)
			p.vacatedLocked() // it may have been let in meanwhile, as the last one
			return nil, p.notSentLocked(gate.Waiting(err, p.window.String(), p.hindranceLocked()))
		case !e.admitted:
			return nil, p.notSentLocked(p.closedBecause())
		}
	}
	if r.pub.Properties.MessageID == "" && p.cfg.messageIDs {
		r.pub.Properties.MessageID = p.ids.next()
	}
	p.startLocked()
	return p.takeLocked(r)
}

// takeLocked returns the channel to publish r on. If there is none r is queued; a
// message that could not be sent is refused at once.
func (p *Publisher) takeLocked(r *Receipt) (*core.Channel, error) {
	switch {
	case p.closed != nil:
		p.releaseLocked(r)
		return nil, p.notSentLocked(p.closed)
	case p.live != nil:
		r.phase = inFlight
		r.attempts++
		p.sent++
		return p.live, nil
	}
	if err := r.pub.Validate(); err != nil {
		p.releaseLocked(r)
		return nil, err
	}
	p.queue.push(r)
	p.ring()
	return nil, nil
}

// takeBack undoes take: ch did not accept r, because of err. If ch is dead it
// takes the next channel.
func (p *Publisher) takeBack(ctx context.Context, ch *core.Channel, r *Receipt, err error) (*core.Channel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.phase = queued
	r.attempts--
	p.landedLocked()
	if _, invalid := errs.AsType[*core.ValidationError](err); invalid {
		p.releaseLocked(r)
		return nil, err
	}
	if ctx.Err() != nil {
		p.releaseLocked(r)
		return nil, p.notSentLocked(p.waitedLocked(r, ended(ctx, err)))
	}
	if p.live == ch {
		p.live = nil
	}
	return p.takeLocked(r)
}

// releaseLocked takes r out of the window without an outcome: its sender gets an
// error.
func (p *Publisher) releaseLocked(r *Receipt) {
	r.phase = over
	p.leaveLocked(r)
}

// notSentLocked is the error of a message that was not accepted.
func (p *Publisher) notSentLocked(cause error) error {
	p.stats.NotSent++
	return core.Verdict{Outcome: core.OutcomeNotSent, Cause: cause}.Err()
}

func (p *Publisher) closedBecause() error {
	if p.closed != nil {
		return p.closed
	}
	return core.ErrClosed
}

// startLocked starts the runner once.
func (p *Publisher) startLocked() {
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
