package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// plan says what a load does. Zero values are defaults.
type plan struct {
	queue     string        // type of the main queue; default quorum
	messages  int           // at least so many; the load goes on while there are faults. Default 2000
	size      int           // bytes; default 200
	rate      int           // messages a second at most; default 3000
	window    int           // default 1000
	prefetch  int           // default 200
	workers   int           // of the main queue's consumer; default 2. One keeps the order
	heartbeat time.Duration // default 4 s
	deleted   bool          // the main queue is deleted: messages may be lost in it or returned
	nodes     []*broker     // all those that the URLs lead to; default: the load's own
}

// stream says whether the main queue is a stream, which keeps its messages and forgets its consumers.
func (p plan) stream() bool { return p.queue == topology.Stream }

// of returns the plan with a main queue of that type.
func (p plan) of(queue string) plan {
	p.queue = queue
	return p
}

func (p plan) withDefaults() plan {
	p.queue = cmp.Or(p.queue, topology.Quorum)
	p.messages = cmp.Or(p.messages, 2000)
	p.size = cmp.Or(p.size, 200)
	p.rate = cmp.Or(p.rate, 3000)
	p.window = cmp.Or(p.window, 1000)
	p.prefetch = cmp.Or(p.prefetch, 200)
	p.workers = cmp.Or(p.workers, 2)
	p.heartbeat = cmp.Or(p.heartbeat, 4*time.Second)
	return p
}

// load is a client that publishes and consumes numbered messages, while a test breaks what is below it.
type load struct {
	plan   plan
	node   *broker // where rabbitmqctl runs
	client *warren.Client
	pub    *publisher.Publisher
	cons   *consumer.Consumer
	ledger *ledger.Ledger
	book   book
	stray  *sender // of what no queue takes
	events events
	before string // what the broker held when the load began
	muted  int    // faults after which a verdict must be missing

	kills     int  // of the broker
	deletions int  // of the main queue
	filled    bool // the consumer had as much as its prefetch allows

	handlers sync.RWMutex           // held by a fault: handlers wait
	confirms *faultproxy.FrameFault // that keeps them from the client

	held    ledger.Resources // when the load began
	longest time.Duration    // that a fault lasted

	confirmed, consumed atomic.Int64
	strays, refused     atomic.Int64 // published to no queue; given back by their handler
	replies, audits     atomic.Int64 // that the other two consumers have handled

	ctx       context.Context // ends with the test
	quit      chan struct{}   // closed when publishing shall end
	published chan struct{}   // closed when every publish has its outcome
	consuming sync.WaitGroup
}

// startLoad connects to urls, declares the topology and starts to publish and to consume.
func startLoad(t testing.TB, node *broker, p plan, urls ...string) *load {
	t.Helper()
	l := &load{plan: p.withDefaults(), node: node, ctx: t.Context(),
		quit: make(chan struct{}), published: make(chan struct{})}
	l.ledger = newLedger(t, l.brokers()...)
	l.held = l.stock()
	ctx := within(t, startTimeout)
	var err error
	l.client, err = warren.Dial(ctx, urls[0], warren.WithURLs(urls[1:]...), warren.WithListener(l.note),
		warren.WithConnection(func(c *core.Config) { c.Heartbeat = l.plan.heartbeat }),
		warren.WithRetry(shortRetry), warren.WithLogger(zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.close(t) })
	if err := l.call(ctx, "declare", l.declare); err != nil {
		t.Fatal(err)
	}
	l.startConsumers(t)
	if l.pub, err = l.client.Publisher(publisher.Exchange(exchange), publisher.Window(l.plan.window, 64<<20)); err != nil {
		t.Fatal(err)
	}
	l.stray = l.sender(strayKey)
	if err := l.client.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if l.before, err = inventory(ctx, l.node); err != nil {
		t.Fatal(err)
	}
	go l.runPublish()
	return l
}

func (l *load) declare(ctx context.Context) error {
	_, err := l.client.Declare(ctx, loadTopology(l.plan.queue))
	return err
}

// brokers returns all those that the load may be connected to.
func (l *load) brokers() []*broker {
	if len(l.plan.nodes) > 0 {
		return l.plan.nodes
	}
	return []*broker{l.node}
}

// call has the ledger note how long a call of the API took, and that it was to end with its context.
func (l *load) call(ctx context.Context, name string, f func(context.Context) error) error {
	begun, limit := time.Now(), time.Duration(0)
	if end, ok := ctx.Deadline(); ok {
		limit = time.Until(end)
	}
	err := f(ctx)
	l.ledger.Called(name, time.Since(begun), limit, err)
	return err
}

// shortRetry keeps outages short: tests wait for their end.
func shortRetry() backoff.BackOff {
	return recovery.FullJitter(backoff.NewConstantBackOff(longestWait))
}

const longestWait = time.Second // between attempts to connect

// startConsumers starts the ledger's consumer, and one for each queue that lives by its consumer.
func (l *load) startConsumers(t testing.TB) {
	t.Helper()
	var err error
	options := []consumer.Option{consumer.Prefetch(l.plan.prefetch), consumer.Workers(l.plan.workers), consumer.Tag(mainQueue)}
	if l.plan.stream() {
		options = append(options, consumer.FromOffset("first"))
	}
	if l.cons, err = l.client.Consumer(mainQueue, options...); err != nil {
		t.Fatal(err)
	}
	received := l.ledger.Consumer(mainQueue)
	l.consuming.Go(func() {
		l.ended(t, l.cons.Run(l.ctx, func(_ context.Context, d *warren.Delivery) error { return l.receive(received, d) }))
	})
	for queue, handled := range map[string]*atomic.Int64{ownQueue: &l.replies, autoQueue: &l.audits} {
		received := l.ledger.Consumer(queue)
		l.consuming.Go(func() {
			l.ended(t, l.client.Consume(l.ctx, queue, func(_ context.Context, d *warren.Delivery) error {
				id, _ := received.Receive(asReceived(d))
				handled.Add(1)
				received.End(id, d.Tag, nil)
				return nil
			}, consumer.Tag(queue)))
		})
	}
}

// ended checks why a consumer ended: with the client, and for no other reason.
func (l *load) ended(t testing.TB, err error) {
	if err != nil && !errors.Is(err, core.ErrClosed) {
		t.Errorf("a consumer ended: %v", err)
	}
}

// receive is the handler of the main queue.
func (l *load) receive(received *ledger.Consumer, d *warren.Delivery) error {
	id, err := received.Receive(asReceived(d))
	if err == nil && d.RoutingKey == routingKey {
		l.book.arrived(id.Seq, d.Redelivered)
		l.consumed.Add(1)
	}
	l.handlers.RLock() // a fault may have them wait
	defer l.handlers.RUnlock()
	var result error
	if err == nil && id.Seq%refuseEvery == 0 && d.RoutingKey == routingKey && !d.Redelivered && !l.plan.stream() {
		l.refused.Add(1)
		result = consumer.ErrRequeue
	}
	received.End(id, d.Tag, result)
	return result
}

// asReceived is a delivery for the ledger.
func asReceived(d *warren.Delivery) ledger.Received {
	return ledger.Received{
		Exchange: d.Exchange, Key: d.RoutingKey, Headers: d.Properties().Headers, Body: d.Body, Tag: d.Tag, Redelivered: d.Redelivered,
	}
}

// note notes an event.
func (l *load) note(e warren.Event) {
	switch {
	case e.Connection == "main" && e.Kind == recovery.EventLost:
		l.ledger.Down()
	case e.Connection == "main" && e.Kind == recovery.EventRecovered:
		l.ledger.Up()
	}
	l.events.add(e)
}

const (
	routingKey  = "created.eu" // of the messages of a load
	strayKey    = "nowhere"    // of those that no queue takes
	strayEvery  = 50           // messages there is one such
	refuseEvery = 97           // messages there is one that its handler gives back when it comes first
)

// sender publishes with one key.
type sender struct {
	*ledger.Publisher
	key string

	mu   sync.Mutex              // guards the following
	open map[ledger.ID]time.Time // when what has no result was sent
}

func (l *load) sender(key string) *sender {
	s := &sender{Publisher: l.ledger.Publisher(), key: key, open: map[ledger.ID]time.Time{}}
	s.To(exchange, key)
	return s
}

// oldest returns when the message was sent that has been without a result for longest, false if all have one.
func (s *sender) oldest() (at time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sent := range s.open {
		if !ok || sent.Before(at) {
			at, ok = sent, true
		}
	}
	return at, ok
}

func (s *sender) sent(id ledger.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[id] = time.Now()
}

func (s *sender) settled(id ledger.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

// pace is how often messages are sent: those that are due, at once.
const pace = 5 * time.Millisecond

// runPublish publishes until it is told to stop and the plan is met.
func (l *load) runPublish() {
	defer close(l.published)
	orders := l.sender(routingKey)
	var results sync.WaitGroup
	defer results.Wait()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	due := max(1, l.plan.rate*int(pace)/int(time.Second))
	for n := 0; !l.enough(n); n += due {
		select {
		case <-tick.C:
		case <-l.ctx.Done():
			return
		}
		for i := range due {
			l.send(orders, &results)
			if (n+i)%strayEvery == 0 {
				l.strays.Add(1)
				l.send(l.stray, &results)
			}
		}
	}
}

func (l *load) enough(n int) bool {
	select {
	case <-l.quit:
		return n >= l.plan.messages
	default:
		return false
	}
}

func (l *load) send(s *sender, results *sync.WaitGroup) {
	m := s.Next(0, l.plan.size)
	r, err := l.pub.Send(context.WithoutCancel(l.ctx), warren.Message{
		RoutingKey: s.key, Body: m.Body, Properties: warren.Properties{Headers: ledger.Headers(m.Body)},
	})
	if err != nil {
		s.Result(m.ID, ledger.NotSent)
		return
	}
	s.sent(m.ID)
	results.Go(func() { l.runResult(s, m.ID, r) })
}

// runResult notes the outcome of one message: each by itself, since one that is returned after a recovery takes its time.
func (l *load) runResult(s *sender, id ledger.ID, r *publisher.Receipt) {
	<-r.Done()
	v := r.Verdict()
	if s.key == routingKey {
		l.book.sent(id.Seq, r.Attempts())
	}
	s.Result(id, outcomes[v.Outcome])
	s.settled(id)
	if v.Outcome == core.OutcomeConfirmed {
		l.confirmed.Add(1)
	}
}

var outcomes = map[core.Outcome]ledger.Outcome{
	core.OutcomeConfirmed: ledger.Confirmed, core.OutcomeReturned: ledger.Returned, core.OutcomeNacked: ledger.Nacked,
	core.OutcomeNotSent: ledger.NotSent, core.OutcomeUnknown: ledger.Unknown,
}

// flow waits until the client is ready, and n messages more are confirmed, and n more consumed.
func (l *load) flow(ctx context.Context, n int64) error {
	if err := l.client.AwaitReady(ctx); err != nil {
		return fmt.Errorf("not ready: %w: state %+v", err, l.client.State())
	}
	return l.progress(ctx, n)
}

// progress is flow of a client that need not be ready with everything.
func (l *load) progress(ctx context.Context, n int64) error {
	confirmed, consumed := l.confirmed.Load()+n, l.consumed.Load()+n
	if !eventually(ctx, recoverTimeout, func() bool { return l.confirmed.Load() >= confirmed && l.consumed.Load() >= consumed }) {
		return fmt.Errorf("no flow: %d confirms and %d deliveries are missing: state %+v",
			confirmed-l.confirmed.Load(), consumed-l.consumed.Load(), l.client.State())
	}
	return nil
}

// strayPatience is how long what no queue takes may be without its result before the next fault comes: it is published
// again until a connection has lived for a while.
const strayPatience = 20 * time.Second

// settle waits until no stray has been without its result for long.
func (l *load) settle(ctx context.Context) error {
	if !eventually(ctx, recoverTimeout, func() bool {
		at, waiting := l.stray.oldest()
		return !waiting || time.Since(at) < strayPatience
	}) {
		return errors.New("what no queue takes is not returned")
	}
	return nil
}

// probe publishes to the two queues that live by their consumers, and waits until these have the messages.
func (l *load) probe(ctx context.Context) error {
	for key, handled := range map[string]*atomic.Int64{"reply.probe": &l.replies, "audit.probe": &l.audits} {
		before, s := handled.Load(), l.sender(key)
		m := s.Next(0, 0)
		err := l.pub.Publish(ctx, warren.Message{RoutingKey: key, Body: m.Body, Properties: warren.Properties{Headers: ledger.Headers(m.Body)}})
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		s.Result(m.ID, ledger.Confirmed)
		if !eventually(ctx, recoverTimeout, func() bool { return handled.Load() > before }) {
			return fmt.Errorf("%s did not arrive", key)
		}
	}
	return nil
}
