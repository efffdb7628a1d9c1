package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

const (
	queueName = "orders"
	prefetch  = 20
	window    = 50
	patience  = 20 * time.Second // for what a correct client does much sooner
)

// clientRun is the client on the broker in memory, behind a proxy that both ledgers know of.
type clientRun struct {
	t         *testing.T
	broker    *brokertest.Broker
	proxy     *faultproxy.Proxy
	ledger    *ledger.Ledger
	client    *warren.Client
	pub       *publisher.Publisher
	settled   atomic.Int64 // publishes that have their outcome
	requeued  atomic.Int64 // deliveries, by their handler
	consuming sync.WaitGroup
}

// newClientRun starts a broker, a client and a consumer; prepare sees the proxy before the client does.
func newClientRun(t *testing.T, prepare func(*faultproxy.Proxy)) *clientRun {
	t.Helper()
	r := &clientRun{t: t, broker: brokertest.New(t), ledger: ledger.New(rand.Uint64())}
	var err error
	if r.proxy, err = faultproxy.New(r.broker.Addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.proxy.Close)
	r.proxy.Observe(func() faultproxy.Observer { return r.ledger.Conn() })
	if prepare != nil {
		prepare(r.proxy)
	}
	if err := errors.Join(r.call("dial", r.dial), r.call("declare", r.declare)); err != nil {
		t.Fatal(err)
	}
	if r.pub, err = r.client.Publisher(publisher.Exchange("x"), publisher.Window(window, 1<<20), publisher.ReturnGrace(0)); err != nil {
		t.Fatal(err)
	}
	r.consume()
	return r
}

func (r *clientRun) dial(ctx context.Context) (err error) {
	const pause = 20 * time.Millisecond
	r.client, err = warren.Dial(ctx, "amqp://guest:guest@"+r.proxy.Addr()+"/",
		warren.WithRetry(func() backoff.BackOff { return backoff.NewConstantBackOff(pause) }),
		warren.WithRecovery(func(c *recovery.Config) { c.SlowRetry = pause })) // the end of a connection that logs in looks like a refusal
	return err
}

// declare declares a queue that keeps its order, though the consumer of a dead connection may still be there, and one
// that ends with its connection, so that it has to be bound again.
func (r *clientRun) declare(ctx context.Context) error {
	orders := warren.Queue{Name: queueName, Type: topology.Quorum}.With(topology.SingleActiveConsumer())
	_, err := r.client.Declare(ctx, warren.Topology{
		Exchanges: []warren.Exchange{{Name: "x", Type: "direct"}},
		Queues:    []warren.Queue{orders, {Name: "own", Exclusive: true}},
		Bindings:  []warren.Binding{{Source: "x", Destination: queueName, RoutingKey: "all"}, {Source: "x", Destination: "own", RoutingKey: "own"}},
	})
	return err
}

// call makes a call of the API and notes how long it took.
func (r *clientRun) call(name string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), patience)
	defer cancel()
	begun := time.Now()
	err := f(ctx)
	r.ledger.Called(name, time.Since(begun), patience, err)
	return err
}

// consume starts the one consumer, of one worker, which fails with a message now and then.
func (r *clientRun) consume() {
	c := r.ledger.Consumer(queueName)
	seen := 0
	r.consuming.Go(func() {
		_ = r.client.Consume(context.WithoutCancel(r.t.Context()), queueName, func(_ context.Context, d *warren.Delivery) error {
			id, err := c.Receive(ledger.Received{
				Exchange: d.Exchange, Key: d.RoutingKey, Headers: d.Properties().Headers, Body: d.Body, Tag: d.Tag, Redelivered: d.Redelivered,
			})
			var result error
			if seen++; err == nil && seen%97 == 0 {
				result = consumer.ErrRequeue
				r.requeued.Add(1)
			}
			c.End(id, d.Tag, result)
			return result
		}, consumer.Prefetch(prefetch))
	})
}

// publish publishes n messages, and more while that is wanted, and waits for their
// outcomes, or until the patience of an unlucky run is over. It notes those that are
// known before each message, so that the ledger sees how many are not.
func (r *clientRun) publish(n int, more func() bool, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), patience)
	defer cancel()
	p := r.ledger.Publisher()
	type sent struct {
		id      ledger.ID
		receipt *publisher.Receipt
	}
	var open []sent
	note := func(s sent) {
		p.Result(s.id, outcomes[s.receipt.Verdict().Outcome])
		r.settled.Add(1)
	}
	known := func(s sent) bool {
		select {
		case <-s.receipt.Done():
			note(s)
			return true
		default:
			return false
		}
	}
	for i := 0; i < n || more() && ctx.Err() == nil; i++ {
		open = slices.DeleteFunc(open, known)
		key := "all"
		if i%50 == 49 {
			key = "nowhere"
		}
		p.To("x", key)
		m := p.Next(0, 100)
		receipt, err := r.pub.Send(ctx, warren.Message{
			RoutingKey: key, Body: m.Body, Properties: warren.Properties{Headers: ledger.Headers(m.Body)},
		})
		if err != nil {
			p.Result(m.ID, ledger.NotSent)
			continue
		}
		open = append(open, sent{m.ID, receipt})
	}
	for _, s := range open {
		<-s.receipt.Done()
		note(s)
	}
}

var outcomes = map[core.Outcome]ledger.Outcome{
	core.OutcomeConfirmed: ledger.Confirmed, core.OutcomeReturned: ledger.Returned, core.OutcomeNacked: ledger.Nacked,
	core.OutcomeNotSent: ledger.NotSent, core.OutcomeUnknown: ledger.Unknown,
}

// until waits for a condition.
func until(patience time.Duration, condition func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); !condition(); {
		select {
		case <-tick.C:
		case <-late:
			return false
		}
	}
	return true
}

func no() bool { return false }

// left returns how many messages the broker still has.
func (r *clientRun) left() int {
	q, _ := r.broker.Queue(queueName)
	return q.Ready + q.Unacked
}

// history waits until the queue is empty and the topology there, and returns what happened until then and what the
// broker holds.
func (r *clientRun) history(patience time.Duration) (ledger.History, ledger.Facts) {
	r.t.Helper()
	declared := []string{"x→orders all", "x→own own"}
	until(patience, func() bool {
		return r.left() == 0 && r.ledger.Summary().Lost == 0 && len(r.broker.Bindings()) == len(declared)
	})
	facts := ledger.Facts{Drained: r.left() == 0, Left: r.left(), Declared: declared, Registered: []string{queueName}}
	for _, b := range r.broker.Bindings() {
		facts.Actual = append(facts.Actual, fmt.Sprintf("%s→%s %s", b.Source, b.Destination, b.Key))
	}
	for _, c := range r.broker.Consumers() {
		facts.Active = append(facts.Active, c.Queue)
	}
	history, err := r.ledger.History()
	if err != nil {
		r.t.Fatal(err)
	}
	return history, facts
}

// close ends the client: one that was lied to may have to be told to stop waiting.
func (r *clientRun) close() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), 2*time.Second)
	defer cancel()
	err := r.client.Close(ctx)
	r.consuming.Wait()
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
