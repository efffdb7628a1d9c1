package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/publisher"
)

// env is a client of a RabbitMQ, for one test.
type env struct {
	*testing.T
	broker *docker.Broker
	client *warren.Client
	ctx    context.Context
}

func TestClientWithRabbitMQ(t *testing.T) {
	broker := dockertest.Run(t, docker.MainVersion, docker.Options{})
	for name, run := range map[string]func(e *env){
		"outcomes": testOutcomes, "poison among many": testPoison, "connections closed by an operator": testClosedByOperator,
		"queue deleted under a consumer": testDeletedQueue, "ack timeout": testAckTimeout, "stream": testStream, "stream on a channel": testStreamOnChannel,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			client, err := warren.Dial(ctx, broker.URL(), warren.WithConnection(func(c *core.Config) { c.MaxPublish = 64 << 20 }))
			if err != nil {
				t.Fatal(err)
			}
			run(&env{t, broker, client, ctx})
			if err := client.Drain(ctx); err != nil {
				t.Errorf("drain: %v", err)
			}
		})
	}
}

func (e *env) declare(queues ...warren.Queue) {
	e.Helper()
	if _, err := e.client.Declare(e.ctx, warren.Topology{Queues: queues}); err != nil {
		e.Fatal(err)
	}
}

func (e *env) publisher(opts ...publisher.Option) *publisher.Publisher {
	e.Helper()
	p, err := e.client.Publisher(opts...)
	if err != nil {
		e.Fatal(err)
	}
	return p
}

// consume handles deliveries until the test ends.
func (e *env) consume(queue string, handle warren.Handler, opts ...consumer.Option) {
	go func() {
		if err := e.client.Consume(e.ctx, queue, handle, opts...); err != nil {
			e.Errorf("consume %s: %v", queue, err)
		}
	}()
}

// seen counts bodies.
type seen struct {
	mu    sync.Mutex // guards the following
	count map[string]int
	order []string
}

func (s *seen) handle(_ context.Context, d *warren.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == nil {
		s.count = map[string]int{}
	}
	s.count[string(d.Body)]++
	s.order = append(s.order, string(d.Body))
	return nil
}

func (s *seen) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.count)
}

// await asks again and again whether ok, within the test's time.
func (e *env) await(what string, ok func() bool) {
	e.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-e.ctx.Done():
			e.Fatalf("in vain: %s", what)
		}
	}
}

func testOutcomes(e *env) {
	e.declare(warren.Queue{Name: "outcomes"},
		warren.Queue{Name: "full", Arguments: warren.Table{"x-max-length": 1, "x-overflow": "reject-publish"}})
	p := e.publisher(publisher.MaxAttempts(1))
	for _, test := range []struct {
		message warren.Message
		want    error
	}{
		{warren.Message{RoutingKey: "outcomes"}, nil},
		{warren.Message{RoutingKey: "full"}, nil},
		{warren.Message{RoutingKey: "full"}, core.ErrNacked},
		{warren.Message{RoutingKey: "nowhere"}, core.ErrReturned},
		{warren.Message{Exchange: "none"}, core.ErrNotFound},
		{warren.Message{RoutingKey: "outcomes", Properties: warren.Properties{UserID: "somebody else"}}, core.ErrPreconditionFailed},
		{warren.Message{RoutingKey: "outcomes"}, nil},
	} {
		if err := p.Publish(e.ctx, test.message); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			e.Errorf("%+v: %v; want %v", test.message, err, test.want)
		}
	}
}

func testPoison(e *env) {
	e.declare(warren.Queue{Name: "poison"})
	p := e.publisher()
	for _, poison := range []warren.Message{
		{Exchange: "none"}, {RoutingKey: "poison", Body: make([]byte, 17<<20)}, {RoutingKey: "poison", Properties: warren.Properties{UserID: "somebody else"}},
	} {
		var receipts []*publisher.Receipt
		var bad *publisher.Receipt
		for i := range 1000 {
			m := warren.Message{RoutingKey: "poison", Body: fmt.Append(nil, i)}
			if i == 500 {
				m = poison
			}
			r, err := p.Send(e.ctx, m)
			if err != nil {
				e.Fatal(err)
			}
			if i == 500 {
				bad = r
			}
			receipts = append(receipts, r)
		}
		for i, r := range receipts {
			if out, err := r.Wait(e.ctx); (out == core.OutcomeConfirmed) == (r == bad) {
				e.Errorf("message %d: %v, %v", i, out, err)
			}
		}
		out, err := bad.Wait(e.ctx)
		if _, ok := errs.AsType[*core.Error](err); !ok {
			e.Errorf("%v", err)
		}
		e.Logf("%v: %v; %d sent again so far", out, err, p.Stats().Republished)
	}
}

func testClosedByOperator(e *env) {
	e.declare(warren.Queue{Name: "closed"})
	var got seen
	e.consume("closed", got.handle, consumer.Workers(4))
	p := e.publisher()
	closed := make(chan error, 1)
	go func() {
		_, err := e.broker.Exec(e.ctx, "rabbitmqctl", "close_all_connections", "test")
		closed <- err
	}()
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	var receipts []*publisher.Receipt
	stalled := errors.New("no outcome in half a minute")
	for over := false; !over; {
		ctx, cancel := context.WithTimeoutCause(e.ctx, 30*time.Second, stalled)
		defer cancel()
		r, err := p.Send(ctx, warren.Message{RoutingKey: "closed", Body: fmt.Append(nil, len(receipts))})
		if e.ctx.Err() != nil {
			e.Fatalf("rabbitmqctl has not come back; %d messages sent, %+v", len(receipts), p.Stats())
		}
		if err != nil {
			e.Fatalf("message %d: %v; %+v, %+v", len(receipts), err, p.Stats(), e.client.State())
		}
		receipts = append(receipts, r)
		select {
		case err := <-closed:
			if over = true; err != nil {
				e.Fatal(err)
			}
		case <-pace.C:
		}
	}
	for i, r := range receipts {
		if out, err := r.Wait(e.ctx); out != core.OutcomeConfirmed {
			e.Errorf("message %d: %v, %v", i, out, err)
		}
	}
	e.await("each message is handled", func() bool { return got.len() == len(receipts) })
	if s := e.client.State(); s.Epoch < 2 {
		e.Errorf("no connection was lost: %+v", s)
	}
	e.Logf("of %d messages %d sent again, %d handled again", len(receipts), p.Stats().Republished, len(got.order)-len(receipts))
}

func testDeletedQueue(e *env) {
	e.declare(warren.Queue{Name: "deleted"})
	var got seen
	e.consume("deleted", got.handle)
	p := e.publisher()
	publish := func(body string) {
		e.Helper()
		e.await("a publish is routed", func() bool {
			return p.Publish(e.ctx, warren.Message{RoutingKey: "deleted", Body: []byte(body)}) == nil
		})
	}
	publish("1")
	e.await("the first is handled", func() bool { return got.len() == 1 })
	if _, err := e.broker.Exec(e.ctx, "rabbitmqctl", "delete_queue", "deleted"); err != nil {
		e.Fatal(err)
	}
	publish("2")
	e.await("the second is handled", func() bool { return got.len() == 2 })
}

// RabbitMQ 4.3 cancels a consumer of a quorum queue whose ack is late.
func testAckTimeout(e *env) {
	e.declare(warren.Queue{Name: "late", Type: "quorum", Arguments: warren.Table{"x-consumer-timeout": 4000}})
	causes := make(chan error, 1)
	var once sync.Once
	var got seen
	e.consume("late", func(ctx context.Context, d *warren.Delivery) error {
		once.Do(func() {
			<-ctx.Done()
			causes <- context.Cause(ctx)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return got.handle(ctx, d)
	})
	if err := e.publisher().Publish(e.ctx, warren.Message{RoutingKey: "late", Body: []byte("1")}); err != nil {
		e.Fatal(err)
	}
	select {
	case err := <-causes:
		if !errors.Is(err, core.ErrStale) || !errors.Is(err, core.ErrCancelled) {
			e.Errorf("cause %v", err)
		}
	case <-e.ctx.Done():
		e.Fatal("the consumer was not cancelled")
	}
	e.await("the message is handled after all", func() bool { return got.len() == 1 })
	if s := e.client.State(); s.Epoch > 2 { // two connections, each opened once
		e.Errorf("a connection was lost: %+v", s)
	}
}

func testStream(e *env) {
	const messages = 400
	e.declare(warren.Queue{Name: "stream", Type: "stream"})
	p := e.publisher()
	for i := range messages {
		if _, err := p.Send(e.ctx, warren.Message{RoutingKey: "stream", Body: fmt.Append(nil, i)}); err != nil {
			e.Fatal(err)
		}
	}
	c, err := e.client.Consumer("stream", consumer.FromOffset("first"), consumer.Prefetch(20))
	if err != nil {
		e.Fatal(err)
	}
	var got seen
	var failed atomic.Bool
	held := make(chan struct{})
	var once sync.Once
	go func() {
		_ = c.Run(e.ctx, func(ctx context.Context, d *warren.Delivery) error {
			if got.len() == messages/2 {
				once.Do(func() {
					close(held)
					<-ctx.Done() // until the connection is closed
				})
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if string(d.Body) == "10" && !failed.Swap(true) {
				return errBad // it is handled again
			}
			return got.handle(ctx, d)
		})
	}()
	<-held
	if next, ok := c.Offset(); !ok || next != messages/2 {
		e.Errorf("at %d, %t; want %d", next, ok, messages/2)
	}
	if _, err := e.broker.Exec(e.ctx, "rabbitmqctl", "close_all_connections", "test"); err != nil {
		e.Fatal(err)
	}
	e.await("each message is handled", func() bool { return got.len() == messages })
	if !slices.IsSortedFunc(got.order, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) || len(got.order) != messages {
		e.Errorf("%d handled, not each once in order: %v", len(got.order), got.order)
	}
}

// testStreamOnChannel: a channel's consumer of a stream goes on behind what it has acked, after a connection that was
// closed and a channel that was.
func testStreamOnChannel(e *env) {
	const messages = 300
	e.declare(warren.Queue{Name: "channel.stream", Type: "stream"})
	p := e.publisher()
	for i := range messages {
		if err := p.Publish(e.ctx, warren.Message{RoutingKey: "channel.stream", Body: fmt.Append(nil, i)}); err != nil {
			e.Fatal(err)
		}
	}
	ch, err := e.client.Channel(e.ctx)
	if err != nil {
		e.Fatal(err)
	}
	if err := ch.Qos(e.ctx, core.BasicQos{PrefetchCount: 20}); err != nil {
		e.Fatal(err)
	}
	c, err := ch.Consume(e.ctx, core.BasicConsume{Queue: "channel.stream", Arguments: warren.Table{"x-stream-offset": "first"}})
	if err != nil {
		e.Fatal(err)
	}
	losses := 0
	for next := 0; next < messages; {
		d, err := c.Receive(e.ctx)
		if err != nil {
			e.Fatal(err)
		}
		if string(d.Body) != fmt.Sprint(next) && d.Stale() == nil {
			e.Fatalf("received %s; want %d", d.Body, next)
		}
		switch {
		case losses == 0 && next == messages/3:
			losses++
			_, err = e.broker.Exec(e.ctx, "rabbitmqctl", "close_all_connections", "test")
			<-d.Channel().Done()
		case losses == 1 && next == 2*messages/3:
			losses++
			if _, missing := ch.QueueDeclare(e.ctx, core.QueueDeclare{Queue: "missing", Passive: true}); !errors.Is(missing, core.ErrNotFound) {
				err = fmt.Errorf("a missing queue: %w", missing)
			}
			<-d.Channel().Done()
		}
		if err != nil {
			e.Fatal(err)
		}
		switch err := d.Ack(); {
		case err == nil:
			next++
		case !errors.Is(err, core.ErrStale): // else it comes again
			e.Fatal(err)
		}
	}
	if losses != 2 {
		e.Errorf("%d losses", losses)
	}
}
