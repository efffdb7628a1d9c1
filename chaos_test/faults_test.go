package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/recovery"
)

// Faults of one broker.
var (
	killed = fault{
		name: "killed and restarted", kill: true, strike: on((*broker).Kill), shows: lost, heal: on((*broker).Restart),
	}
	stopped = fault{
		name: "stopped and restarted", strike: on((*broker).Stop), shows: lostBy(core.ErrConnectionForced), heal: on((*broker).Restart),
	}
	pausedBelowHeartbeat = fault{
		name: "paused below the heartbeat", quiet: true, strike: pauseBriefly, heal: on((*broker).Unpause),
	}
	pausedBeyondHeartbeat = fault{
		name: "paused past the heartbeat", mute: true,
		strike: on((*broker).Pause), shows: lostBy(core.ErrSilent), heal: on((*broker).Unpause),
	}
	closedByOperator = fault{
		name: "closed by an operator", strike: ctl("close_all_connections", "maintenance"), shows: forced("maintenance"),
	}
	memoryAlarm = fault{
		name: "memory alarm", quiet: true, strike: alarm(0), heal: ctl("set_vm_memory_high_watermark", "0.6"),
	}
	longMemoryAlarm = fault{
		name: "memory alarm for several heartbeats", quiet: true, strike: alarm(3), heal: ctl("set_vm_memory_high_watermark", "0.6"),
	}
	queueDeleted = fault{
		name: "queue deleted under its consumer", strike: ctl("delete_queue", autoQueue), shows: consumerLost(autoQueue, core.ErrCancelled),
	}
)

// Faults of the network between client and broker.
var (
	reset = fault{
		name: "connections reset", strike: link(func(p *faultproxy.Proxy) { p.Reset() }), shows: lost,
	}
	deafBroker = fault{
		name: "nothing reaches the broker", strike: link(func(p *faultproxy.Proxy) { p.Pause(faultproxy.ToUpstream) }),
		shows: lost, heal: link(func(p *faultproxy.Proxy) { p.Resume(faultproxy.Both) }),
	}
	deafClient = fault{
		name: "nothing reaches the client", mute: true, strike: link(func(p *faultproxy.Proxy) { p.Pause(faultproxy.ToClient) }),
		shows: lostBy(core.ErrSilent), heal: link(func(p *faultproxy.Proxy) { p.Resume(faultproxy.Both) }),
	}
	blackhole = fault{
		name: "nothing passes", strike: link(func(p *faultproxy.Proxy) { p.Pause(faultproxy.Both) }),
		shows: lostBy(core.ErrSilent), heal: link(func(p *faultproxy.Proxy) { p.Resume(faultproxy.Both) }),
	}
	bytesToBrokerLost = fault{
		name: "what goes to the broker is lost", strike: link(func(p *faultproxy.Proxy) { p.Blackhole(faultproxy.ToUpstream, true) }),
		shows: lost, heal: link(func(p *faultproxy.Proxy) { p.Blackhole(faultproxy.Both, false) }),
	}
	bytesToClientLost = fault{
		name: "what goes to the client is lost", mute: true,
		strike: link(func(p *faultproxy.Proxy) { p.Blackhole(faultproxy.ToClient, true) }),
		shows:  lostBy(core.ErrSilent), heal: link(func(p *faultproxy.Proxy) { p.Blackhole(faultproxy.Both, false) }),
	}
	endToBroker = fault{
		name: "the broker reads the end", strike: link(func(p *faultproxy.Proxy) { p.HalfClose(faultproxy.ToUpstream) }), shows: lost,
	}
	endToClient = fault{
		name: "the client reads the end", strike: link(func(p *faultproxy.Proxy) { p.HalfClose(faultproxy.ToClient) }), shows: lost,
	}
	confirmsHeld = fault{
		name: "confirms come late", quiet: true, strike: holdConfirms, heal: func(_ context.Context, l *load) error {
			l.confirms.Lift()
			return nil
		},
	}
	confirmsDropped = fault{
		name: "confirms are lost with the connection", mute: true, strike: dropConfirms, shows: lost,
	}
	slowLink = fault{
		name: "slow link", quiet: true, strike: slowDown,
		heal: link(func(p *faultproxy.Proxy) { p.Latency(0, 0); p.Bandwidth(0) }),
	}
	oneByteLink = fault{
		name: "one byte at a time", quiet: true, strike: sliceUp, heal: link(func(p *faultproxy.Proxy) { p.Slice(0) }),
	}
)

// ctl makes a run of rabbitmqctl a strike or a heal.
func ctl(args ...string) func(context.Context, *load) error {
	return func(ctx context.Context, l *load) error {
		_, err := l.node.Ctl(ctx, args...)
		return err
	}
}

// link makes a change of the broker's proxy a strike or a heal.
func link(f func(*faultproxy.Proxy)) func(context.Context, *load) error {
	return func(_ context.Context, l *load) error {
		f(l.node.proxy)
		return nil
	}
}

// alarm raises the memory alarm while the main queue holds messages, and keeps it for some heartbeats. The broker says
// so and takes no publishes; the consumer goes on.
func alarm(heartbeats int) func(context.Context, *load) error {
	return func(ctx context.Context, l *load) error {
		mark := l.events.mark()
		if err := l.backlog(ctx); err != nil {
			return err
		}
		_, err := l.node.Ctl(ctx, "set_vm_memory_high_watermark", "absolute", "1MB")
		if err == nil {
			err = l.events.await(ctx, mark, kind(recovery.EventBlocked))
		}
		consumed := l.consumed.Load()
		l.handlers.Unlock()
		if err != nil {
			return err
		}
		// What was with the consumer before is not more than its prefetch.
		if !eventually(ctx, recoverTimeout, func() bool { return l.consumed.Load() > consumed+int64(l.plan.prefetch) }) {
			return fmt.Errorf("%d consumed while publishers are blocked", l.consumed.Load()-consumed)
		}
		if heartbeats == 0 {
			return nil
		}
		return l.stalled(ctx, time.Duration(heartbeats)*l.plan.heartbeat)
	}
}

// backlog has the handlers of the main queue wait, and the queue hold more than its consumer may take. The caller lets
// them go on, unless there is an error.
func (l *load) backlog(ctx context.Context) error {
	l.handlers.Lock()
	enough := l.confirmed.Load() + int64(2*l.plan.prefetch+10)
	if !eventually(ctx, recoverTimeout, func() bool { return l.confirmed.Load() >= enough }) {
		l.handlers.Unlock()
		return errors.New("too little is published")
	}
	return nil
}

// holdConfirms keeps the broker's confirms from the client until all publishes that its window allows wait for theirs.
func holdConfirms(ctx context.Context, l *load) error {
	return l.withoutConfirms(ctx, faultproxy.Hold)
}

// dropConfirms loses confirms for a while, and then the connections: those publishes have no verdict and never get one.
func dropConfirms(ctx context.Context, l *load) error {
	if err := l.withoutConfirms(ctx, faultproxy.Drop); err != nil {
		return err
	}
	l.node.proxy.Reset()
	l.confirms.Lift()
	return nil
}

func (l *load) withoutConfirms(ctx context.Context, do faultproxy.Action) error {
	l.confirms = l.node.proxy.Frames(faultproxy.FrameRule{Dir: faultproxy.ToClient, Method: wire.MethodBasicAck, Do: do})
	if err := l.stalled(ctx, l.plan.heartbeat/2); err != nil {
		return err
	}
	if l.confirms.Hits() == 0 {
		return errors.New("the broker has confirmed nothing")
	}
	return nil
}

// pauseBriefly freezes the broker for about one heartbeat interval, in which nothing may be confirmed once the last
// confirms have come.
func pauseBriefly(ctx context.Context, l *load) error {
	if err := l.node.Pause(ctx); err != nil {
		return err
	}
	if err := hold(ctx, l.plan.heartbeat/4); err != nil { // for those
		return err
	}
	return l.stalled(ctx, l.plan.heartbeat*3/4)
}

// stalled waits until no publish has been confirmed for d, though some wait for it: those that were on their way may
// be confirmed before.
func (l *load) stalled(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stallTimeout, errors.New("publishes are still confirmed"))
	defer cancel()
	for {
		before := l.confirmed.Load()
		if err := hold(ctx, d); err != nil {
			return err
		}
		if l.confirmed.Load() == before {
			break
		}
	}
	if l.pub.Stats().Open == 0 {
		return errors.New("no publish waits for its verdict")
	}
	return nil
}

const stallTimeout = 2 * time.Minute // for what was on its way

const (
	linkLatency   = 100 * time.Millisecond
	linkBandwidth = 256 << 10
	linkHold      = 5 * time.Second
)

// slowDown makes the link slow for a while; a greeting then takes a round trip and more.
func slowDown(ctx context.Context, l *load) error {
	l.node.proxy.Latency(linkLatency, linkLatency/4)
	l.node.proxy.Bandwidth(linkBandwidth)
	begun := time.Now()
	if err := docker.Hello(ctx, l.node.Addr()); err != nil {
		return err
	}
	if took := time.Since(begun); took < linkLatency {
		return fmt.Errorf("a greeting took %v on the slow link", took)
	}
	return hold(ctx, linkHold)
}

// sliceUp lets the link carry single bytes for a while.
func sliceUp(ctx context.Context, l *load) error {
	before := l.node.proxy.Stats().Sliced
	l.node.proxy.Slice(1)
	if err := hold(ctx, linkHold); err != nil {
		return err
	}
	if n := l.node.proxy.Stats().Sliced - before; n < manyPieces {
		return fmt.Errorf("%d pieces", n)
	}
	return nil
}

const manyPieces = 1000 // a few dozen messages

// handlersWait has the handlers of the main queue wait until the consumer has as much as its prefetch allows.
var handlersWait = fault{
	name: "handlers wait", quiet: true,
	strike: func(ctx context.Context, l *load) error {
		if err := l.backlog(ctx); err != nil {
			return err
		}
		l.filled = true
		return nil
	},
	heal: func(_ context.Context, l *load) error {
		l.handlers.Unlock()
		return nil
	},
}

// consumerLost wants the loss of a queue's consumer by that cause.
func consumerLost(queue string, cause error) wanted {
	return wanted{fmt.Sprintf("consumer of %s lost by %v", queue, cause), func(e warren.Event) bool {
		return e.Kind == recovery.EventConsumerLost && strings.Contains(e.Entity, queue) && errors.Is(e.Err, cause)
	}}
}
