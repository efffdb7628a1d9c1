package publisher_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// env is a broker in memory and a logical connection to it, in a bubble of
// fake time. When the test ends both are closed; goroutines that are then left
// fail it.
type env struct {
	*testing.T
	broker   *brokertest.Broker
	conn     *session.Connection
	recorder *record.Recorder // of conn
	ctx      context.Context
	wrap     func(net.Conn) net.Conn // if set, what the client sees of a socket

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
			Name:     "publish",
			Resolver: recovery.Endpoints(core.Config{Addr: "broker:5672", DialContext: e.dial, MaxPublish: 64 << 20}),
			Emit:     e.emit,
			Recorder: e.recorder,
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
	if e.wrap != nil {
		return e.wrap(c), nil
	}
	return c, nil
}

// socket returns the client's end of the present connection.
func (e *env) socket() *memnet.Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sockets[len(e.sockets)-1]
}

func (e *env) dials() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sockets)
}

func (e *env) emit(event recovery.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, event)
}

// count returns how many events of a kind there were.
func (e *env) count(kind recovery.EventKind) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, event := range e.events {
		if event.Kind == kind {
			n++
		}
	}
	return n
}

func (e *env) publisher(opts ...publisher.Option) *publisher.Publisher {
	e.Helper()
	p, err := publisher.New(e.conn, opts...)
	if err != nil {
		e.Fatal(err)
	}
	return p
}

// channel returns a channel of a plain connection, for what tests prepare and look at.
func (e *env) channel() *core.Channel {
	e.Helper()
	conn, err := core.Dial(e.ctx, core.Config{Addr: "broker:5672", DialContext: e.broker.DialContext})
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { _ = conn.Close(context.Background()) })
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
	if _, err := ch.QueueDeclare(e.ctx, core.QueueDeclare{Queue: name, Durable: true, Arguments: args}); err != nil {
		e.Fatal(err)
	}
	if err := ch.Conn().Close(e.ctx); err != nil {
		e.Fatal(err)
	}
}

// content is a message in a queue.
type content struct{ id, body string }

// contents takes everything out of a queue.
func (e *env) contents(queue string) []content {
	e.Helper()
	ch := e.channel()
	defer func() { _ = ch.Conn().Close(e.ctx) }()
	var all []content
	for {
		d, err := ch.Get(e.ctx, core.BasicGet{Queue: queue, NoAck: true})
		if err != nil {
			e.Fatal(err)
		}
		if d == nil {
			return all
		}
		all = append(all, content{d.MessageID(), string(d.Body)})
	}
}

// bodies takes everything out of a queue and leaves out what came again.
func (e *env) bodies(queue string) []string {
	e.Helper()
	var all []string
	seen := map[string]bool{}
	for _, c := range e.contents(queue) {
		if !seen[c.id] {
			all = append(all, c.body)
		}
		seen[c.id] = true
	}
	return all
}

func to(queue, body string) publisher.Message {
	return publisher.Message{RoutingKey: queue, Body: []byte(body)}
}

// send sends n messages to queue q with bodies "1", "2" …
func (e *env) send(p *publisher.Publisher, first, last int) []*publisher.Receipt {
	e.Helper()
	var all []*publisher.Receipt
	for i := first; i <= last; i++ {
		r, err := p.Send(e.ctx, to("q", fmt.Sprint(i)))
		if err != nil {
			e.Fatalf("send %d: %v", i, err)
		}
		all = append(all, r)
	}
	return all
}

func numbers(first, last int) []string {
	var all []string
	for i := first; i <= last; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// wantConfirmed waits for the outcomes.
func (e *env) wantConfirmed(receipts ...*publisher.Receipt) {
	e.Helper()
	for i, r := range receipts {
		if out, err := r.Wait(e.ctx); out != core.OutcomeConfirmed {
			e.Errorf("message %d: %v, %v", i+1, out, err)
		}
	}
}

func (e *env) wantBodies(queue string, want []string) {
	e.Helper()
	if got := e.bodies(queue); !slices.Equal(got, want) {
		e.Errorf("queue %s holds %v; want %v", queue, got, want)
	}
}

func (e *env) closeOf(p *publisher.Publisher) {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		e.Errorf("close of the publisher: %v", err)
	}
}
