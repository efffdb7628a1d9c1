package publisher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// TestRandomFaultsKeepEveryPromise publishes under random faults and has the
// ledger compare what senders were told with what the broker holds, and with
// what passed over the wire.
func TestRandomFaultsKeepEveryPromise(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 5
	}
	var seen effects
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inBubble(t, func(e *env) { newFaultRun(e, seed, &seen).play() }, brokertest.WithSeed(seed))
		})
	}
	t.Logf("%+v", seen)
	for name, n := range map[string]int{
		"connections lost": seen.connections, "channels lost": seen.channels,
		"messages sent again": seen.republished, "returned": seen.returned, "unknown": seen.unknown, "not sent": seen.notSent,
	} {
		if n == 0 {
			t.Errorf("%s: none, so this proves little", name)
		}
	}
}

// effects are what faults led to, over all runs.
type effects struct {
	connections, channels                   int // lost
	republished, returned, unknown, notSent int // messages
}

// checked are the rules that are about publishing. Those about consumers are
// not: the queues are read by automatic ack, on another connection. Nor is S7,
// since while a bad message is sought not everything fits the next channel.
var checked = []string{"S1", "S2", "S3", "S4", "S5", "S6", "S8"}

type faultRun struct {
	*env
	random *rand.Rand // of the goroutine that makes faults
	seed   uint64
	ledger *ledger.Ledger
	seen   *effects
}

func newFaultRun(e *env, seed uint64, seen *effects) *faultRun {
	r := &faultRun{env: e, random: rand.New(rand.NewPCG(seed, 1)), seed: seed, ledger: ledger.New(seed + 1), seen: seen}
	e.wrap = func(nc net.Conn) net.Conn { return newTap(nc, r.ledger) }
	return r
}

const (
	faultSenders  = 3
	faultMessages = 80
)

func (r *faultRun) play() {
	r.closesOver("fatal", 541)
	r.queue("a", nil)
	r.queue("b", wire.Table{"x-max-length": 30, "x-overflow": "reject-publish"})
	var senders sync.WaitGroup
	var publishers []*publisher.Publisher
	for i := range faultSenders {
		p := r.publisher(publisher.Window(20, 1<<20), publisher.ReturnGrace(0))
		publishers = append(publishers, p)
		senders.Go(func() { r.send(p, r.ledger.Publisher(), rand.New(rand.NewPCG(r.seed, uint64(i+2)))) })
	}
	for range 12 {
		time.Sleep(time.Duration(r.random.IntN(400)) * time.Millisecond)
		r.fault()
	}
	consumer := r.ledger.Consumer("b") // or the queue stays full
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			r.read(consumer, "b")
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
			}
		}
	})
	senders.Wait()
	for _, p := range publishers {
		ctx, cancel := context.WithTimeout(r.ctx, time.Hour)
		if err := p.Drain(ctx); err != nil {
			r.Errorf("drain: %v", err)
		}
		cancel()
		s := p.Stats()
		if sum := s.Confirmed + s.Returned + s.Nacked + s.NotSent + s.Unknown; sum != faultMessages || s.Open != 0 {
			r.Errorf("the outcomes of %d messages do not add up: %+v", faultMessages, s)
		}
		r.seen.republished += int(s.Republished)
		r.seen.returned += int(s.Returned)
		r.seen.unknown += int(s.Unknown)
		r.seen.notSent += int(s.NotSent)
	}
	r.seen.connections += r.count(recovery.EventLost)
	r.seen.channels += r.count(recovery.EventChannelLost)
	close(stop)
	readers.Wait()
	r.read(consumer, "b")
	r.read(r.ledger.Consumer("a"), "a")
	report, err := r.ledger.Check(ledger.Rules{Replay: true, MaxPublications: 60}, ledger.Facts{Drained: true})
	if err != nil {
		r.Fatal(err)
	}
	among := func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			rule, _, _ := strings.Cut(name, " ") // from its part
			return slices.Contains(checked, rule)
		})
	}
	if among(report.Broken()) {
		r.Errorf("%s", report)
	}
	if among(report.NotChecked) {
		r.Errorf("not checked: %q, want every part of %q checked", report.NotChecked, checked)
	}
	r.Logf("%d dials\n%s", r.dials(), report.Summary)
}

// send publishes one message after another, most without waiting, some with
// little patience, some that go nowhere, and a few that are poison.
func (r *faultRun) send(p *publisher.Publisher, l *ledger.Publisher, random *rand.Rand) {
	var waiting sync.WaitGroup
	for range faultMessages {
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		queue := []string{"a", "a", "a", "a", "b", "b", "nowhere"}[random.IntN(7)]
		m := l.Next(0, ledger.PrefixSize+random.IntN(2000))
		message := publisher.Message{RoutingKey: queue, Body: m.Body, Properties: core.Properties{Headers: ledger.Headers(m.Body)}}
		switch random.IntN(40) {
		case 0:
			message.Exchange = "none"
		case 1:
			message.Properties.UserID = "somebody else"
		case 2:
			message.Properties.Type = "fatal"
		}
		ctx, cancel := r.ctx, context.CancelFunc(func() {})
		if random.IntN(5) == 0 {
			ctx, cancel = context.WithTimeout(r.ctx, time.Duration(random.IntN(300))*time.Millisecond)
		}
		receipt, err := p.Send(ctx, message)
		if err != nil {
			l.Result(m.ID, ledger.Outcome(outcomeOf(err)))
			cancel()
			continue
		}
		waiting.Go(func() {
			defer cancel()
			out, _ := receipt.Wait(context.Background())
			l.Result(m.ID, ledger.Outcome(out))
		})
	}
	waiting.Wait()
}

// fault does something bad to the connection, and heals what does not heal by itself.
func (r *faultRun) fault() {
	publish := wire.MethodBasicPublish
	hook := func(id wire.MethodID, a brokertest.Action, forSo time.Duration) {
		h := r.broker.OnReceive(id, r.broker.Sometimes(0.3, a))
		time.AfterFunc(forSo, h.Remove)
	}
	switch r.random.IntN(12) {
	case 0:
		r.broker.Cut()
	case 1:
		r.broker.CloseConnections(320, "CONNECTION_FORCED - test")
	case 2:
		r.broker.CloseChannels(406, "PRECONDITION_FAILED - test")
	case 3:
		r.broker.Restart()
	case 4:
		r.broker.Block("low on memory")
		time.AfterFunc(time.Second, r.broker.Unblock)
	case 5:
		hook(publish, brokertest.Nack, time.Second)
	case 6:
		hook(publish, brokertest.Cut, time.Second)
	case 7:
		hook(publish, brokertest.ConfirmAfter(300*time.Millisecond), time.Second)
	case 8:
		hook(wire.MethodConfirmSelect, brokertest.Cut, time.Second)
	case 9:
		hook(wire.MethodConfirmSelect, brokertest.Delay(200*time.Millisecond), time.Second)
	case 10:
		r.broker.Stop()
		time.AfterFunc(time.Second, r.broker.Start)
	case 11:
		for _, l := range r.broker.Links() {
			l.CutAfterSending(int64(r.random.IntN(3000)))
			l.CutAfterReceiving(int64(r.random.IntN(3000)))
		}
	}
}

// read takes everything out of a queue, if the broker lets it.
func (r *faultRun) read(l *ledger.Consumer, queue string) {
	conn, err := core.Dial(r.ctx, core.Config{Addr: "broker:5672", DialContext: r.broker.DialContext})
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.Background()) }()
	ch, err := conn.Channel(r.ctx)
	for err == nil {
		var d *core.Delivery
		if d, err = ch.Get(r.ctx, core.BasicGet{Queue: queue, NoAck: true}); d == nil {
			return
		}
		id, bad := l.Deliver(d.Body, d.Tag, d.Redelivered)
		l.End(id, d.Tag, bad)
		if bad != nil {
			r.Errorf("a delivery from %s: %v", queue, bad)
		}
	}
}
