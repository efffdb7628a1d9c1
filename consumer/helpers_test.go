package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// env is a broker in memory and a logical connection to it, in a bubble of
// fake time. When the test ends both are closed; goroutines that are then left
// fail it.
type env struct {
	*testing.T
	broker   *brokertest.Broker
	conn     *session.Connection
	recorder *record.Recorder
	ctx      context.Context

	mu      sync.Mutex // guards the following
	sockets []*memnet.Conn
	onDial  func(n int, c *memnet.Conn) // n counts from 1
	events  []recovery.Event
}

func inBubble(t *testing.T, test func(e *env), opts ...brokertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &env{T: t, broker: brokertest.New(t, opts...), recorder: record.NewRecorder(), ctx: t.Context()}
		e.conn = session.New(session.Config{
			Config:   recovery.Config{InitialPasses: -1},
			Name:     "main",
			Recorder: e.recorder,
			Emit:     e.emit,
			Resolver: recovery.Endpoints(core.Config{Addr: "broker:5672", DialContext: e.dial}),
		})
		defer func() {
			_ = e.conn.Close(context.Background()) // fails where the test has stalled the socket
			e.broker.Close()
		}()
		test(e)
	})
}

func (e *env) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := e.broker.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c := nc.(*memnet.Conn)
	e.sockets = append(e.sockets, c)
	if e.onDial != nil {
		e.onDial(len(e.sockets), c)
	}
	return c, nil
}

func (e *env) emit(event recovery.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, event)
}

// of returns the events of a kind.
func (e *env) of(kind recovery.EventKind) (all []recovery.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.events {
		if event.Kind == kind {
			all = append(all, event)
		}
	}
	return all
}

// count returns how many events of a kind there were.
func (e *env) count(kind recovery.EventKind) int { return len(e.of(kind)) }

func (e *env) consumer(queue string, opts ...consumer.Option) *consumer.Consumer {
	e.Helper()
	c, err := consumer.New(e.conn, queue, opts...)
	if err != nil {
		e.Fatal(err)
	}
	return c
}

// running is a consumer whose Run is under way.
type running struct {
	*consumer.Consumer
	e      *env
	result chan error
}

// run starts a consumer and waits until it is subscribed.
func (e *env) run(queue string, handle consumer.Handler, opts ...consumer.Option) *running {
	e.Helper()
	r := &running{e.consumer(queue, opts...), e, make(chan error, 1)}
	go func() { r.result <- r.Run(e.ctx, handle) }()
	synctest.Wait() // it has joined
	if err := e.conn.Await(e.ctx, recovery.State.Ready); err != nil {
		e.Fatal(err)
	}
	return r
}

// stop stops it and returns what Run returned. Stop tells as much of the handlers.
func (r *running) stop() error {
	r.e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	stopped := r.Stop(ctx)
	err := <-r.result
	if stopped != nil && !errors.Is(stopped, consumer.ErrHandlers) || errors.Is(err, consumer.ErrHandlers) != (stopped != nil) {
		r.e.Errorf("stop: %v, run: %v", stopped, err)
	}
	return err
}

// channel returns a channel of a plain connection, for what tests prepare and look at.
func (e *env) channel() *core.Channel {
	e.Helper()
	conn, err := core.Dial(e.ctx, core.Config{Addr: "broker:5672", DialContext: e.broker.DialContext})
	if err != nil {
		e.Fatal(err)
	}
	ch, err := conn.Channel(e.ctx)
	if err != nil {
		e.Fatal(err)
	}
	return ch
}

// queue declares a durable queue.
func (e *env) queue(name string, args wire.Table) {
	e.Helper()
	ch := e.channel()
	defer func() { _ = ch.Conn().Close(e.ctx) }()
	if _, err := ch.QueueDeclare(e.ctx, core.QueueDeclare{Queue: name, Durable: true, Arguments: args}); err != nil {
		e.Fatal(err)
	}
}

// publish puts messages into a queue, with bodies first to last.
func (e *env) publish(queue string, first, last int) {
	e.Helper()
	ch := e.channel()
	defer func() { _ = ch.Conn().Close(e.ctx) }()
	if err := ch.Confirm(e.ctx, core.ConfirmSelect{}); err != nil {
		e.Fatal(err)
	}
	for i := first; i <= last; i++ {
		c, err := ch.PublishConfirm(e.ctx, &core.Publishing{RoutingKey: queue, Mandatory: true, Body: fmt.Append(nil, i)})
		if err != nil {
			e.Fatal(err)
		}
		if v, err := c.Wait(e.ctx); err != nil || v.Outcome != core.OutcomeConfirmed {
			e.Fatalf("%v %v", v, err)
		}
	}
}

// declare declares t on the connection and records it, as a client does.
func (e *env) declare(t topology.Topology) {
	e.Helper()
	s, err := e.conn.Session(e.ctx)
	if err != nil {
		e.Fatal(err)
	}
	for _, phase := range record.Plan(t) {
		results, err := record.Replay(e.ctx, s.Conn, phase.Steps)
		if err != nil {
			e.Fatal(err)
		}
		for _, r := range results {
			if err := errors.Join(r.Err, e.recorder.Record(r.Entity, r.QueueName())); err != nil {
				e.Fatal(err)
			}
		}
	}
}

// seen collects bodies of deliveries.
type seen struct {
	mu     sync.Mutex // guards the following
	bodies []string
}

func (s *seen) add(d *core.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, string(d.Body))
}

func (s *seen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bodies)
}

// handler notes every delivery and returns nil.
func (s *seen) handler(_ context.Context, d *core.Delivery) error {
	s.add(d)
	return nil
}

func (s *seen) has(body string) bool { return slices.Contains(s.all(), body) }

// wantSorted is wantSeen, whatever the order.
func (e *env) wantSorted(s *seen, want []string) {
	e.Helper()
	if got := slices.Sorted(slices.Values(s.all())); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		e.Errorf("handled %v; want %v", got, want)
	}
}

func (e *env) wantSeen(s *seen, want []string) {
	e.Helper()
	if got := s.all(); !slices.Equal(got, want) {
		e.Errorf("handled %v; want %v", got, want)
	}
}

// wantQueue checks what the broker holds of a queue.
func (e *env) wantQueue(name string, ready, unacked, consumers int) {
	e.Helper()
	synctest.Wait()
	q, ok := e.broker.Queue(name)
	if !ok || q.Ready != ready || q.Unacked != unacked || q.Consumers != consumers {
		e.Errorf("queue %s (%t): %d ready, %d unacked, %d consumers; want %d, %d, %d",
			name, ok, q.Ready, q.Unacked, q.Consumers, ready, unacked, consumers)
	}
}

func numbers(first, last int) []string {
	var all []string
	for i := first; i <= last; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}
