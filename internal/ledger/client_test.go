package ledger_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/internal/ledger"
)

const (
	grace  = 100 * time.Millisecond // what passed longer ago than that must have been read
	growth = 32 << 20               // of the heap: the ledger itself, a few MB
)

func clientRules() ledger.Rules {
	return ledger.Rules{
		Queues: []string{queueName}, Ordered: []string{queueName}, Replay: true, Patient: true,
		Prefetch: map[string]int{queueName: prefetch}, Consumers: map[string]int{queueName: 1},
		MaxPending: window + 1, // the one that waits for its place
		Recovery:   patience, Deadline: patience, MinConfirmed: 1, MinConsumed: 1,
	}
}

// frame is a kind of frame, and what must follow when connections are cut at it.
type frame struct {
	rule      faultproxy.FrameRule
	recovery  bool // it comes only after a loss
	published bool // again
	delivered bool // again
}

func publishing(dir faultproxy.Direction, typ uint8, m wire.MethodID) frame {
	return frame{rule: faultproxy.FrameRule{Dir: dir, Type: typ, Method: m}, published: true}
}

func consuming(dir faultproxy.Direction, typ uint8, m wire.MethodID) frame {
	return frame{rule: faultproxy.FrameRule{Dir: dir, Type: typ, Method: m}, delivered: true}
}

func recovering(m wire.MethodID) frame {
	return frame{rule: faultproxy.FrameRule{Method: m}, recovery: true, published: true}
}

// frames are those that a client and a broker exchange while messages flow and connections are lost.
var frames = map[string]frame{
	"publish":          publishing(faultproxy.ToUpstream, wire.FrameMethod, wire.MethodBasicPublish),
	"header published": publishing(faultproxy.ToUpstream, wire.FrameHeader, 0),
	"body published":   publishing(faultproxy.ToUpstream, wire.FrameBody, 0),
	"confirm":          publishing(faultproxy.ToClient, wire.FrameMethod, wire.MethodBasicAck),
	"return":           publishing(faultproxy.ToClient, wire.FrameMethod, wire.MethodBasicReturn),

	"delivery":         consuming(faultproxy.ToClient, wire.FrameMethod, wire.MethodBasicDeliver),
	"header delivered": consuming(faultproxy.ToClient, wire.FrameHeader, 0),
	"body delivered":   consuming(faultproxy.ToClient, wire.FrameBody, 0),
	"ack":              consuming(faultproxy.ToUpstream, wire.FrameMethod, wire.MethodBasicAck),
	"nack":             consuming(faultproxy.ToUpstream, wire.FrameMethod, wire.MethodBasicNack),

	"start":               recovering(wire.MethodConnectionStart),
	"start-ok":            recovering(wire.MethodConnectionStartOk),
	"tune":                recovering(wire.MethodConnectionTune),
	"tune-ok":             recovering(wire.MethodConnectionTuneOk),
	"open":                recovering(wire.MethodConnectionOpen),
	"open-ok":             recovering(wire.MethodConnectionOpenOk),
	"channel.open":        recovering(wire.MethodChannelOpen),
	"channel.open-ok":     recovering(wire.MethodChannelOpenOk),
	"exchange.declare":    recovering(wire.MethodExchangeDeclare),
	"exchange.declare-ok": recovering(wire.MethodExchangeDeclareOk),
	"queue.declare":       recovering(wire.MethodQueueDeclare),
	"queue.declare-ok":    recovering(wire.MethodQueueDeclareOk),
	"queue.bind":          recovering(wire.MethodQueueBind),
	"queue.bind-ok":       recovering(wire.MethodQueueBindOk),
	"confirm.select":      recovering(wire.MethodConfirmSelect),
	"qos":                 recovering(wire.MethodBasicQos),
	"qos-ok":              recovering(wire.MethodBasicQosOk),
	"consume":             recovering(wire.MethodBasicConsume),
	"consume-ok":          recovering(wire.MethodBasicConsumeOk),
}

// places are where a connection is cut at a frame.
var places = []faultproxy.Action{faultproxy.CutBefore, faultproxy.CutInside, faultproxy.CutAfter}

// TestTheClientKeepsEveryRule cuts the client's connections at each kind of frame while messages flow: before it,
// in its middle and behind it.
func TestTheClientKeepsEveryRule(t *testing.T) {
	for name, f := range frames {
		t.Run(name, func(t *testing.T) { // one after the other: L2 looks at the process
			var before ledger.Resources
			r := newClientRun(t, func(*faultproxy.Proxy) { before = ledger.Stock() })
			r.publish(100, r.forGrace(), patience)
			var faults sync.WaitGroup
			var healed atomic.Bool
			faults.Go(func() { defer healed.Store(true); r.cutAgain(name, f) })
			r.publish(500, func() bool { return !healed.Load() }, patience)
			faults.Wait()
			r.publish(50, r.forGrace(), patience) // something after the last heal
			if err := r.call("drain", r.pub.Drain); err != nil {
				t.Error(err)
			}
			history, facts := r.history(patience)
			if err := r.close(); err != nil {
				t.Error(err)
			}
			facts.Before, facts.After = before, ledger.StockBack(before, patience)
			facts.After.Connections = r.proxy.Conns()
			report := history.Check(r.rules(f), facts)
			if report.Verdict() != ledger.Green {
				t.Errorf("%s", report)
			}
			if want := []string{"L4 (spread)"}; !slices.Equal(report.NotChecked, want) { // TestAFleetDoesNotComeBackAtOnce
				t.Errorf("not checked: %q, want only %q", report.NotChecked, want)
			}
		})
	}
}

// forGrace returns whether that time is not over yet, and a little more.
func (r *clientRun) forGrace() func() bool {
	begun := time.Now()
	return func() bool { return time.Since(begun) < grace*3/2 }
}

// rules are those of a run that is over, with what may happen once for each connection that was lost, and what must
// have happened.
func (r *clientRun) rules(f frame) ledger.Rules {
	rules, stats := clientRules(), r.proxy.Stats()
	losses := stats.Cuts + stats.Resets
	rules.MaxPublications, rules.MaxDials = 1+losses, 2+losses
	rules.Grace, rules.Growth = grace, growth
	rules.MinPending, rules.MinOutstanding = window/2, map[string]int{queueName: prefetch / 2}
	if f.published {
		rules.MinUnresolved = len(places)
	}
	if f.delivered {
		rules.MinRedelivered = int(r.requeued.Load()) + 1
	}
	return rules
}

// cutAgain cuts at a few frames, each a while after the last.
func (r *clientRun) cutAgain(name string, f frame) {
	for i, place := range places {
		reached := r.settled.Load() + 100
		if !until(patience, func() bool { return r.settled.Load() >= reached }) {
			return
		}
		fault := r.ledger.Fault(name)
		if f.published {
			r.withholdConfirm()
		}
		rule := f.rule
		rule.Do, rule.Times, rule.Skip = place, 1, i
		if f.recovery {
			rule.Times, rule.Skip = i+1, 0 // the next ones while it recovers from the first
		}
		cut := r.proxy.Frames(rule)
		if f.recovery {
			r.proxy.Reset()
		}
		if until(patience, func() bool { return cut.Hits() == rule.Times }) {
			fault.Effect()
		}
		cut.Lift()
		fault.End()
		if err := r.call("await ready", r.client.AwaitReady); err != nil {
			r.t.Error(err)
		}
	}
}

// withholdConfirm waits for a publish that gets no verdict before its channel ends.
func (r *clientRun) withholdConfirm() {
	var withheld atomic.Bool
	hook := r.broker.OnReceive(wire.MethodBasicPublish, func(e brokertest.Event) brokertest.Action {
		if m := e.Method.(*wire.BasicPublish); m.RoutingKey == "all" && withheld.CompareAndSwap(false, true) {
			return brokertest.Unconfirmed
		}
		return brokertest.Pass
	})
	defer hook.Remove()
	until(patience, withheld.Load)
}
