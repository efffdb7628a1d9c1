package client

import (
	"context"
	"fmt"
	"math"
	"net"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warren-mq/warren/bench/internal/job"
)

// peerRetry is the interval between attempts; the library adds up to 500 ms to it by itself.
const peerRetry = 50 * time.Millisecond

// peerLink is a connection with recovery enabled.
type peerLink struct {
	conn  *amqp.Connection
	hooks *hooks
	pub   *amqp.Channel
}

func newPeerLink(ctx context.Context, addr string, h *hooks) (link, error) {
	conn, err := amqp.DialConfig("amqp://guest:guest@"+addr+"/", amqp.Config{
		Dial:     func(network, addr string) (net.Conn, error) { return h.dial(ctx, network, addr) },
		Recovery: &amqp.Recovery{ReconnectionConfig: &amqp.ReconnectionConfig{MaxRetryCount: math.MaxInt32, RetryInterval: peerRetry}},
	})
	return &peerLink{conn: conn, hooks: h}, err
}

func (l *peerLink) declare(_ context.Context, j job.Job) error {
	var ch *amqp.Channel
	for i := range j.Queues {
		name := recoverQueue(j, i)
		if i%consumersPerChannel == 0 {
			var err error
			if ch, err = l.conn.Channel(); err != nil {
				return err
			}
			if err := ch.ExchangeDeclare(recoverExchange, "direct", true, false, false, false, nil); err != nil {
				return err
			}
		}
		if _, err := ch.QueueDeclare(name, !j.Exclusive, false, j.Exclusive, false, nil); err != nil {
			return err
		}
		if err := ch.QueueBind(name, name, recoverExchange, false, nil); err != nil {
			return err
		}
		deliveries, err := ch.Consume(name, name, true, false, false, false, nil)
		if err != nil {
			return err
		}
		go l.runConsumer(deliveries)
	}
	return nil
}

func (l *peerLink) runConsumer(deliveries <-chan amqp.Delivery) {
	for range deliveries {
		l.hooks.received.Add(1)
	}
}

func (l *peerLink) watch() func(context.Context) error {
	states := make(chan *amqp.StateChanged, 16)
	l.conn.NotifyStateChange(states)
	return func(ctx context.Context) error {
		for {
			select {
			case s, ok := <-states:
				if !ok {
					return amqp.ErrClosed
				}
				if s.To != amqp.StateOpen {
					continue
				}
				if n := len(s.SkippedTopologyEntities); n > 0 {
					return fmt.Errorf("%w: %d entities were not recovered", errHung, n)
				}
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// publish repeats what was not confirmed.
func (l *peerLink) publish(ctx context.Context) error {
	for l.pub == nil {
		ch, err := l.conn.Channel()
		if err == nil {
			err = ch.Confirm(false)
		}
		if err != nil {
			return err
		}
		l.pub = ch
	}
	for ctx.Err() == nil {
		c, err := l.pub.PublishWithDeferredConfirmWithContext(ctx, "", publishQueue, false, false, amqp.Publishing{})
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		wait, cancel := context.WithTimeout(ctx, time.Second) // a confirm lost with its connection may never come
		acked, err := c.WaitContext(wait)
		cancel()
		if err == nil && acked {
			return nil
		}
	}
	return ctx.Err()
}
