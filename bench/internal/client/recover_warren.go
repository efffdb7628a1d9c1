package client

import (
	"context"
	"errors"
	"time"

	"github.com/warren-mq/warren/bench/internal/job"
	"github.com/warren-mq/warren/channel"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// warrenLink is a logical connection with what is declared on it recorded.
type warrenLink struct {
	conn  *session.Connection
	hooks *hooks
	pub   *publisher.Publisher
}

func newWarrenLink(ctx context.Context, addr string, h *hooks) (link, error) {
	conn := session.New(session.Config{
		Config:   recovery.Config{StableAfter: time.Millisecond},
		Resolver: recovery.Endpoints(core.Config{Addr: addr, DialContext: h.dial, MaxConsumers: consumersPerChannel}),
		Recorder: record.NewRecorder(),
	})
	return &warrenLink{conn: conn, hooks: h}, conn.Connect(ctx)
}

func (l *warrenLink) declare(ctx context.Context, j job.Job) error {
	t := topology.Topology{Exchanges: []topology.Exchange{{Name: recoverExchange}}}
	for i := range j.Queues {
		name := recoverQueue(j, i)
		t.Queues = append(t.Queues, topology.Queue{Name: name, Transient: j.Exclusive, Exclusive: j.Exclusive})
		t.Bindings = append(t.Bindings, topology.Binding{Source: recoverExchange, Destination: name, RoutingKey: name})
	}
	if err := l.record(ctx, t); err != nil {
		return err
	}
	var ch *channel.Channel
	for i, q := range t.Queues {
		name := q.Name
		if i%consumersPerChannel == 0 {
			var err error
			if ch, err = channel.Open(ctx, l.conn); err != nil {
				return err
			}
		}
		c, err := ch.Consume(ctx, core.BasicConsume{Queue: name, ConsumerTag: name, NoAck: true})
		if err != nil {
			return err
		}
		go l.runConsumer(ctx, c)
	}
	return nil
}

// record declares and records a topology, as a client's Declare does.
func (l *warrenLink) record(ctx context.Context, t topology.Topology) error {
	s, err := l.conn.Session(ctx)
	if err != nil {
		return err
	}
	r := l.conn.Recorder()
	for _, phase := range record.Plan(t) {
		results, err := record.Replay(ctx, s.Conn, phase.Steps)
		for _, result := range results {
			err = errors.Join(err, result.Err, r.Record(result.Entity, result.QueueName()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *warrenLink) runConsumer(ctx context.Context, c *channel.Consumer) {
	for _, err := range c.All(ctx) {
		if err != nil {
			return
		}
		l.hooks.received.Add(1)
	}
}

func (l *warrenLink) watch() func(context.Context) error {
	epoch := l.conn.State().Epoch
	return func(ctx context.Context) error {
		return l.conn.Await(ctx, func(s recovery.State) bool { return s.Epoch > epoch && s.Ready() })
	}
}

func (l *warrenLink) publish(ctx context.Context) (err error) {
	if l.pub == nil {
		if l.pub, err = publisher.New(l.conn, publisher.AllowUnroutable()); err != nil {
			return err
		}
	}
	return l.pub.Publish(ctx, publisher.Message{RoutingKey: publishQueue})
}

// publishQueue need not exist: a message without a queue is confirmed too.
const publishQueue = "bench.none"
