package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/bench/internal/job"
	"github.com/warren-mq/warren/bench/internal/meter"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/faultproxy"
)

// link is a client's logical connection, which recovers by itself.
type link interface {
	// declare makes the job's exchange, queues and bindings, and starts a consumer on each queue.
	declare(ctx context.Context, j job.Job) error
	// watch is called before a cut; what it returns waits until everything is back.
	watch() (recovered func(context.Context) error)
	// publish publishes one message until it is confirmed, whatever that takes.
	publish(ctx context.Context) error
}

// hooks are what a link tells of itself.
type hooks struct {
	received atomic.Int64 // deliveries of all consumers
	dialled  atomic.Int64 // when the latest dial began that succeeded, Unix nanoseconds
}

func (h *hooks) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	begun := time.Now()
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		h.dialled.Store(begun.UnixNano())
	}
	return nc, err
}

// Names of what is declared.
const recoverExchange = "bench.recover"

func recoverQueue(j job.Job, i int) string {
	if j.Exclusive {
		return fmt.Sprintf("bench.exclusive.%s.%d", j.Client, i)
	}
	return fmt.Sprintf("bench.recover.%d", i)
}

// consumersPerChannel is how many consumers share a channel, for every client.
const consumersPerChannel = 1000

// Bounds of one recovery: what takes longer counts as hung.
const (
	recoverTimeout = time.Minute
	verifyTimeout  = 30 * time.Second
)

// calm is how long a connection lives before it is cut: a client may well be slow to reconnect one that it
// has only just opened.
const calm = 1100 * time.Millisecond

// errHung says that a client did not come back, or not whole.
var errHung = errors.New("hung")

// recoverWith measures from the moment the network is back to the moment the client says that everything is,
// and then sends a message through every binding: each must reach its consumer.
func recoverWith(open func(context.Context, string, *hooks) (link, error)) func(context.Context, job.Job) (job.Result, error) {
	return func(ctx context.Context, j job.Job) (job.Result, error) {
		var h hooks
		var used []time.Duration
		r, err := overProxy(j, func(proxy *faultproxy.Proxy) ([]time.Duration, error) {
			l, err := open(ctx, proxy.Addr(), &h)
			if err != nil {
				return nil, err
			}
			if err := l.declare(ctx, j); err != nil {
				return nil, err
			}
			return recoveries(j, &h, func() (time.Duration, error) {
				proxy.Latency(j.Delay, 0)
				before := meter.CPU()
				took, err := outage(ctx, proxy, j, l.watch())
				used = append(used, meter.CPU()-before)
				proxy.Latency(0, 0)
				if err == nil {
					err = verify(ctx, j, &h)
				}
				return took, err
			})
		})
		r.RecoverCPU = meter.Percentile(used, 0.5)
		return r, err
	}
}

// recoveries has f measure one recovery after another, each of a connection that has lived for a while.
func recoveries(j job.Job, h *hooks, f func() (time.Duration, error)) (times []time.Duration, err error) {
	begun := time.Now()
	for len(times) < j.Repeat && (j.Budget == 0 || time.Since(begun) < j.Budget) {
		time.Sleep(time.Until(time.Unix(0, h.dialled.Load()).Add(calm)))
		took, err := f()
		if err != nil {
			return times, err
		}
		times = append(times, took)
	}
	return times, nil
}

// overProxy runs f with a proxy in front of the broker, and makes a result of the times it returns.
func overProxy(j job.Job, f func(*faultproxy.Proxy) ([]time.Duration, error)) (job.Result, error) {
	proxy, err := faultproxy.New(j.Addr)
	if err != nil {
		return job.Result{}, err
	}
	defer proxy.Close()
	m := meter.Start(time.Hour, 0)
	times, err := f(proxy)
	m.Count(len(times))
	r := m.Stop()
	r.P50, r.Max = meter.Percentile(times, 0.5), meter.Percentile(times, 1)
	r.Hung = errors.Is(err, errHung)
	return r, err
}

// outage cuts the network and returns how long recovered took once it was back.
func outage(ctx context.Context, proxy *faultproxy.Proxy, j job.Job, recovered func(context.Context) error) (time.Duration, error) {
	proxy.Refuse(j.Outage > 0)
	proxy.Reset()
	time.Sleep(j.Outage)
	proxy.Refuse(false)
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, recoverTimeout)
	defer cancel()
	err := recovered(ctx)
	if ctx.Err() != nil {
		err = fmt.Errorf("%w for %s: %w", errHung, recoverTimeout, err)
	}
	return time.Since(start), err
}

// verify publishes a message to every queue and waits until the client's consumers have received them all.
func verify(ctx context.Context, j job.Job, h *hooks) error {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	conn, err := core.Dial(ctx, core.Config{Addr: j.Addr})
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	ch, err := conn.Channel(ctx)
	if err != nil {
		return err
	}
	before := h.received.Load()
	for i := range j.Queues {
		if err := ch.Publish(ctx, &core.Publishing{Exchange: recoverExchange, RoutingKey: recoverQueue(j, i)}); err != nil {
			return err
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for h.received.Load() < before+int64(j.Queues) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d consumers are missing", errHung, before+int64(j.Queues)-h.received.Load(), j.Queues)
		}
	}
	return nil
}

// returnWith measures from the moment the network is back to the confirm of a publish that waits for it, and
// from the dial that succeeded.
func returnWith(open func(context.Context, string, *hooks) (link, error)) func(context.Context, job.Job) (job.Result, error) {
	return func(ctx context.Context, j job.Job) (job.Result, error) {
		var h hooks
		var attempts []time.Duration
		r, err := overProxy(j, func(proxy *faultproxy.Proxy) ([]time.Duration, error) {
			l, err := open(ctx, proxy.Addr(), &h)
			if err != nil {
				return nil, err
			}
			if err := l.publish(ctx); err != nil {
				return nil, err
			}
			return recoveries(j, &h, func() (time.Duration, error) {
				took, err := outage(ctx, proxy, j, l.publish)
				attempts = append(attempts, time.Since(time.Unix(0, h.dialled.Load())))
				return took, err
			})
		})
		r.Attempt = meter.Percentile(attempts, 0.5)
		return r, err
	}
}
