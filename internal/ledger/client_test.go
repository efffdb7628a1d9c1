package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/publisher"
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
	confirmed atomic.Int64
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
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r.client, err = warren.Dial(ctx, "amqp://guest:guest@"+r.proxy.Addr()+"/",
		warren.WithRetry(func() backoff.BackOff { return backoff.NewConstantBackOff(20 * time.Millisecond) }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.Declare(ctx, warren.Topology{
		Exchanges: []warren.Exchange{{Name: "x", Kind: "direct"}},
		Queues:    []warren.Queue{{Name: queueName, Type: "quorum"}},
		Bindings:  []warren.Binding{{Source: "x", Destination: queueName, Key: "all"}},
	}); err != nil {
		t.Fatal(err)
	}
	if r.pub, err = r.client.Publisher(publisher.Exchange("x"), publisher.Window(window, 1<<20), publisher.ReturnGrace(0)); err != nil {
		t.Fatal(err)
	}
	r.consume()
	return r
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
			}
			c.End(id, d.Tag, result)
			return result
		}, consumer.Prefetch(prefetch))
	})
}

// publish publishes n messages, and more while that is wanted, and waits for their
// outcomes, or until the patience of an unlucky run is over.
func (r *clientRun) publish(n int, more func() bool, patience time.Duration) {
	type sent struct {
		id      ledger.ID
		receipt *publisher.Receipt
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), patience)
	defer cancel()
	p := r.ledger.Publisher()
	results := make(chan sent, window)
	var collecting sync.WaitGroup
	collecting.Go(func() {
		for s := range results {
			<-s.receipt.Done()
			v := s.receipt.Verdict()
			p.Result(s.id, outcomes[v.Outcome])
			r.confirmed.Add(1)
		}
	})
	for i := 0; i < n || more() && ctx.Err() == nil; i++ {
		key := "all"
		if i%50 == 49 {
			key = "nowhere"
		}
		p.To("x", key)
		m := p.Next(0, 100)
		receipt, err := r.pub.Send(ctx, warren.Message{
			Key: key, Body: m.Body, Properties: warren.Properties{Headers: ledger.Headers(m.Body)},
		})
		if err != nil {
			p.Result(m.ID, ledger.NotSent)
			continue
		}
		results <- sent{m.ID, receipt}
	}
	close(results)
	collecting.Wait()
}

var outcomes = map[core.Outcome]ledger.Outcome{
	core.Confirmed: ledger.Confirmed, core.Returned: ledger.Returned, core.Nacked: ledger.Nacked,
	core.NotSent: ledger.NotSent, core.Unknown: ledger.Unknown,
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

// check waits until the queue is empty, ends the client and has the ledger checked.
func (r *clientRun) check(rules ledger.Rules, patience time.Duration) *ledger.Report {
	r.t.Helper()
	until(patience, func() bool { return r.left() == 0 && r.ledger.Summary().Lost == 0 })
	facts := ledger.Facts{Drained: r.left() == 0, Left: r.left(), Declared: []string{"x→orders all"}, Registered: []string{queueName}}
	for _, b := range r.broker.Bindings() {
		facts.Actual = append(facts.Actual, fmt.Sprintf("%s→%s %s", b.Source, b.Destination, b.Key))
	}
	for _, c := range r.broker.Consumers() {
		facts.Active = append(facts.Active, c.Queue)
	}
	report, err := r.ledger.Check(rules, facts)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), 2*time.Second)
	defer cancel()
	if err := r.client.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		r.t.Log(err)
	}
	r.consuming.Wait()
	return report
}

func clientRules() ledger.Rules {
	return ledger.Rules{
		Queues: []string{queueName}, Ordered: []string{queueName}, Replay: true, Patient: true,
		Prefetch: map[string]int{queueName: prefetch}, Consumers: map[string]int{queueName: 1},
		Recovery: patience, Deadline: patience, MinConfirmed: 1, MinConsumed: 1,
	}
}

// cuts are what a fault does to the frames of the client or the broker, once.
var cuts = map[string]faultproxy.FrameRule{
	"between a publish and its header": {Method: wire.MethodBasicPublish, Do: faultproxy.CutAfter},
	"inside a publish":                 {Method: wire.MethodBasicPublish, Do: faultproxy.CutInside},
	"in the middle of a body sent":     {Dir: faultproxy.ToUpstream, Type: wire.FrameBody, Do: faultproxy.CutInside},
	"after a body sent":                {Dir: faultproxy.ToUpstream, Type: wire.FrameBody, Do: faultproxy.CutAfter},
	"before a confirm":                 {Dir: faultproxy.ToClient, Method: wire.MethodBasicAck, Do: faultproxy.CutBefore},
	"after a confirm":                  {Dir: faultproxy.ToClient, Method: wire.MethodBasicAck, Do: faultproxy.CutAfter},
	"between a return and its header":  {Method: wire.MethodBasicReturn, Do: faultproxy.CutAfter},
	"between a delivery and its body":  {Method: wire.MethodBasicDeliver, Do: faultproxy.CutAfter},
	"in the middle of a body received": {Dir: faultproxy.ToClient, Type: wire.FrameBody, Do: faultproxy.CutInside},
	"before an ack":                    {Dir: faultproxy.ToUpstream, Method: wire.MethodBasicAck, Do: faultproxy.CutBefore},
	"after an ack":                     {Dir: faultproxy.ToUpstream, Method: wire.MethodBasicAck, Do: faultproxy.CutAfter},
}

// TestTheClientKeepsEveryRule cuts the client's connections at each kind of frame while messages flow.
func TestTheClientKeepsEveryRule(t *testing.T) {
	for name, rule := range cuts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newClientRun(t, nil)
			var faults sync.WaitGroup
			var healed atomic.Bool
			faults.Go(func() { defer healed.Store(true); r.cutAgain(name, rule) })
			r.publish(600, func() bool { return !healed.Load() }, patience)
			faults.Wait()
			r.publish(50, no, patience) // something after the last heal
			if report := r.check(clientRules(), patience); report.Verdict() != ledger.Green {
				t.Errorf("%s", report)
			}
		})
	}
}

// cutAgain cuts at a few frames, each a while after the last.
func (r *clientRun) cutAgain(name string, rule faultproxy.FrameRule) {
	for i := range 3 {
		reached := int64(100 * (i + 1))
		if !until(patience, func() bool { return r.confirmed.Load() >= reached }) {
			return
		}
		fault := r.ledger.Fault(name)
		rule.Times, rule.Skip = 1, i
		cut := r.proxy.Frames(rule)
		if until(patience, func() bool { return cut.Hits() > 0 }) {
			fault.Effect()
		}
		cut.Lift()
		fault.End()
	}
}
