package client

import (
	"context"
	"errors"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warren-mq/warren/bench/internal/job"
	"github.com/warren-mq/warren/bench/internal/meter"
)

func peerOpen(j job.Job) (*amqp.Connection, []*amqp.Channel, error) {
	conn, err := amqp.Dial("amqp://guest:guest@" + j.Addr + "/")
	if err != nil {
		return nil, nil, err
	}
	var channels []*amqp.Channel
	for range j.Channels {
		ch, err := conn.Channel()
		if err != nil {
			return nil, nil, err
		}
		if j.Kind == job.Confirm || j.Kind == job.Latency || j.Kind == job.Stall {
			if err := ch.Confirm(false); err != nil {
				return nil, nil, err
			}
		}
		channels = append(channels, ch)
	}
	return conn, channels, nil
}

func peerMessage(j job.Job) amqp.Publishing {
	return amqp.Publishing{Body: make([]byte, j.Size), DeliveryMode: deliveryMode(j)}
}

func peerPublish(ctx context.Context, j job.Job) (job.Result, error) {
	return peerPublishers(j, func(ch *amqp.Channel, m *meter.Meter) error {
		msg := peerMessage(j)
		for m.Running() {
			for range stride(j.Size) {
				if err := ch.PublishWithContext(ctx, "", j.Queue, false, false, msg); err != nil {
					return err
				}
			}
			m.Count(stride(j.Size))
		}
		return nil
	})
}

// peerConfirm holds the window as a ring of deferred confirmations, the oldest of which is waited for.
func peerConfirm(ctx context.Context, j job.Job) (job.Result, error) {
	return peerPublishers(j, func(ch *amqp.Channel, m *meter.Meter) error {
		msg := peerMessage(j)
		window := make([]*amqp.DeferredConfirmation, max(1, j.Window*j.Channels/j.Goroutines))
		at := 0
		for m.Running() {
			for range stride(j.Size) {
				if oldest := window[at]; oldest != nil && !oldest.Wait() {
					return errNacked
				}
				c, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", j.Queue, false, false, msg)
				if err != nil {
					return err
				}
				window[at] = c
				at = (at + 1) % len(window)
			}
			m.Count(stride(j.Size))
		}
		for _, c := range window {
			if c != nil && !c.Wait() {
				return errNacked
			}
		}
		return nil
	})
}

var errNacked = errors.New("a publish was refused")

func peerPublishers(j job.Job, publish func(*amqp.Channel, *meter.Meter) error) (job.Result, error) {
	conn, channels, err := peerOpen(j)
	if err != nil {
		return job.Result{}, err
	}
	var publishers sync.WaitGroup
	errs := make([]error, j.Goroutines)
	m := meter.Start(j.Duration, 0)
	for i := range j.Goroutines {
		publishers.Go(func() { errs[i] = publish(channels[i%len(channels)], m) })
	}
	publishers.Wait()
	if err := errors.Join(append(errs, conn.Close())...); err != nil {
		return job.Result{}, err
	}
	return m.Stop(), nil
}

func peerLatency(ctx context.Context, j job.Job) (job.Result, error) {
	conn, channels, err := peerOpen(j)
	if err != nil {
		return job.Result{}, err
	}
	defer conn.Close()
	return oneByOne(j, func() error { return peerOne(ctx, channels[0], j.Queue, peerMessage(j)) })
}

func peerOne(ctx context.Context, ch *amqp.Channel, queue string, msg amqp.Publishing) error {
	c, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, false, false, msg)
	if err != nil {
		return err
	}
	if acked, err := c.WaitContext(ctx); err != nil || !acked {
		return errors.Join(errNacked, err)
	}
	return nil
}

func peerStall(ctx context.Context, j job.Job) (job.Result, error) {
	j.Channels = 2
	conn, channels, err := peerOpen(j)
	if err != nil {
		return job.Result{}, err
	}
	defer conn.Close()
	big := peerMessage(job.Job{Size: j.Big})
	return beside(j, func() error { return peerOne(ctx, channels[1], j.Queue, big) },
		func() error { return peerOne(ctx, channels[0], j.Queue, peerMessage(j)) })
}

func peerConsume(_ context.Context, j job.Job) (job.Result, error) {
	if j.Slow {
		j.Channels++
	}
	_, channels, err := peerOpen(j)
	if err != nil {
		return job.Result{}, err
	}
	var consumers []<-chan amqp.Delivery
	for _, ch := range channels {
		if j.Prefetch > 0 {
			if err := ch.Qos(j.Prefetch, 0, false); err != nil {
				return job.Result{}, err
			}
		}
		c, err := ch.Consume(j.Queue, "", j.Prefetch == 0, false, false, false, nil)
		if err != nil {
			return job.Result{}, err
		}
		consumers = append(consumers, c)
	}
	if j.Slow {
		slow := consumers[len(consumers)-1]
		consumers = consumers[:len(consumers)-1]
		defer repeat(func() error { return peerSlow(slow) })()
	}
	var receivers sync.WaitGroup
	m := meter.Start(j.Duration, j.Messages)
	for i := range max(j.Goroutines, len(consumers)) {
		receivers.Go(func() { peerReceiver(consumers[i%len(consumers)], j, m) })
	}
	receivers.Wait()
	return m.Stop(), nil
}

func peerSlow(c <-chan amqp.Delivery) error {
	d, ok := <-c
	if !ok {
		return amqp.ErrClosed
	}
	time.Sleep(slowness)
	return d.Ack(false)
}

func peerReceiver(c <-chan amqp.Delivery, j job.Job, m *meter.Meter) {
	for m.Running() {
		for n := range stride(j.Size) {
			select {
			case d := <-c:
				if j.Prefetch > 0 && d.Ack(false) != nil {
					return
				}
			case <-m.Stopped():
				m.Count(n)
				return
			}
		}
		m.Count(stride(j.Size))
	}
}
