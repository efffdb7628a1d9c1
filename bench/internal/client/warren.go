package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/bench/internal/job"
	"github.com/warren-mq/warren/bench/internal/meter"
	"github.com/warren-mq/warren/core"
)

// warrenOpen opens a connection and its channels. The window of unconfirmed publishes is the connection's own.
func warrenOpen(ctx context.Context, j job.Job) (*core.Conn, []*core.Channel, error) {
	conn, err := core.Dial(ctx, core.Config{Addr: j.Addr, ConfirmWindow: j.Window, CloseTimeout: 3 * time.Minute, MaxPublish: core.MaxBody})
	if err != nil {
		return nil, nil, err
	}
	var channels []*core.Channel
	for range j.Channels {
		ch, err := conn.Channel(ctx)
		if err != nil {
			return nil, nil, err
		}
		if j.Kind == job.Confirm || j.Kind == job.Latency || j.Kind == job.Stall {
			if err := ch.Confirm(ctx, core.ConfirmSelect{}); err != nil {
				return nil, nil, err
			}
		}
		channels = append(channels, ch)
	}
	return conn, channels, nil
}

func warrenMessage(j job.Job) *core.Publishing {
	return &core.Publishing{RoutingKey: j.Queue, Body: make([]byte, j.Size), Properties: core.Properties{DeliveryMode: deliveryMode(j)}}
}

// verdicts counts what was confirmed.
type verdicts struct{ sync.WaitGroup }

func (v *verdicts) Settle(core.Verdict) { v.Done() }

// warrenPublish publishes, with confirms or without.
func warrenPublish(ctx context.Context, j job.Job) (job.Result, error) {
	conn, channels, err := warrenOpen(ctx, j)
	if err != nil {
		return job.Result{}, err
	}
	var publishers sync.WaitGroup
	var open verdicts
	m := meter.Start(j.Duration, 0)
	for i := range j.Goroutines {
		publishers.Go(func() { warrenPublisher(ctx, channels[i%len(channels)], j, m, &open) })
	}
	publishers.Wait()
	open.Wait()
	if err := conn.Close(ctx); err != nil {
		return job.Result{}, err
	}
	return m.Stop(), nil
}

func warrenPublisher(ctx context.Context, ch *core.Channel, j job.Job, m *meter.Meter, open *verdicts) {
	msg := warrenMessage(j)
	for m.Running() {
		for range stride(j.Size) {
			var err error
			if j.Kind == job.Confirm {
				open.Add(1)
				err = ch.PublishTo(ctx, msg, open)
			} else {
				err = ch.Publish(ctx, msg)
			}
			if err != nil {
				return
			}
		}
		m.Count(stride(j.Size))
	}
}

func warrenLatency(ctx context.Context, j job.Job) (job.Result, error) {
	conn, channels, err := warrenOpen(ctx, j)
	if err != nil {
		return job.Result{}, err
	}
	defer conn.Close(ctx)
	return oneByOne(j, func() error { return warrenOne(ctx, channels[0], warrenMessage(j)) })
}

func warrenOne(ctx context.Context, ch *core.Channel, msg *core.Publishing) error {
	c, err := ch.PublishConfirm(ctx, msg)
	if err != nil {
		return err
	}
	v, err := c.Wait(ctx)
	if err != nil {
		return err
	}
	return v.Err()
}

// oneByOne times calls of publish, one after the other.
func oneByOne(j job.Job, publish func() error) (job.Result, error) {
	times := make([]time.Duration, 0, 1<<20)
	m := meter.Start(j.Duration, 0)
	for m.Running() && len(times) < cap(times) {
		start := time.Now()
		if err := publish(); err != nil {
			return job.Result{}, err
		}
		times = append(times, time.Since(start))
		m.Count(1)
	}
	r := m.Stop()
	r.P50, r.P99, r.Max = meter.Percentile(times, 0.5), meter.Percentile(times, 0.99), meter.Percentile(times, 1)
	return r, nil
}

// warrenStall measures one channel's confirms while another channel sends a big message over and over.
func warrenStall(ctx context.Context, j job.Job) (job.Result, error) {
	j.Channels = 2
	conn, channels, err := warrenOpen(ctx, j)
	if err != nil {
		return job.Result{}, err
	}
	defer conn.Close(ctx)
	big := warrenMessage(job.Job{Queue: j.Queue, Size: j.Big})
	return beside(j, func() error { return warrenOne(ctx, channels[1], big) },
		func() error { return warrenOne(ctx, channels[0], warrenMessage(j)) })
}

// beside times calls of publish while big goes on at the same time, over and over.
func beside(j job.Job, big, publish func() error) (job.Result, error) {
	var sent atomic.Int64
	stop := repeat(func() error {
		err := big()
		if err == nil {
			sent.Add(1)
		}
		return err
	})
	defer stop()
	r, err := oneByOne(j, publish)
	if err == nil && sent.Load() == 0 {
		err = errors.New("not one big message was confirmed meanwhile")
	}
	return r, err
}

// repeat calls f over and over until it fails or stop is called, which does not wait.
func repeat(f func() error) (stop func()) {
	over := make(chan struct{})
	go func() {
		for f() == nil {
			select {
			case <-over:
				return
			default:
			}
		}
	}()
	return func() { close(over) }
}

// slowness is what the slow consumer takes for a message.
const slowness = 10 * time.Millisecond

func warrenConsume(ctx context.Context, j job.Job) (job.Result, error) {
	if j.Slow {
		j.Channels++
	}
	_, channels, err := warrenOpen(ctx, j)
	if err != nil {
		return job.Result{}, err
	}
	var consumers []*core.Consumer
	for _, ch := range channels {
		if j.Prefetch > 0 {
			if err := ch.Qos(ctx, core.BasicQos{PrefetchCount: uint16(j.Prefetch)}); err != nil {
				return job.Result{}, err
			}
		}
		var opts []core.ConsumeOption
		if j.Prefetch == 0 { // a broker at full speed: the others have no bound at all
			opts = append(opts, core.MaxBuffered(0, 1<<30))
		}
		c, err := ch.Consume(ctx, core.BasicConsume{Queue: j.Queue, NoAck: j.Prefetch == 0}, opts...)
		if err != nil {
			return job.Result{}, err
		}
		consumers = append(consumers, c)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if j.Slow {
		slow := consumers[len(consumers)-1]
		consumers = consumers[:len(consumers)-1]
		defer repeat(func() error { return warrenSlow(ctx, slow) })()
	}
	var receivers sync.WaitGroup
	m := meter.Start(j.Duration, j.Messages)
	stopAt(m, cancel)
	for i := range max(j.Goroutines, len(consumers)) {
		receivers.Go(func() { warrenReceiver(ctx, consumers[i%len(consumers)], j, m) })
	}
	receivers.Wait()
	return m.Stop(), nil
}

func warrenSlow(ctx context.Context, c *core.Consumer) error {
	d, err := c.Receive(ctx)
	if err != nil {
		return err
	}
	time.Sleep(slowness)
	return d.Ack()
}

// stopAt cancels when m is over.
func stopAt(m *meter.Meter, cancel context.CancelFunc) {
	go func() {
		<-m.Stopped()
		cancel()
	}()
}

func warrenReceiver(ctx context.Context, c *core.Consumer, j job.Job, m *meter.Meter) {
	for m.Running() {
		for n := range stride(j.Size) {
			d, err := c.Receive(ctx)
			if err == nil && j.Prefetch > 0 {
				err = d.Ack()
			}
			if err != nil {
				m.Count(n)
				return
			}
			if j.Release {
				d.Release()
			}
		}
		m.Count(stride(j.Size))
	}
}
