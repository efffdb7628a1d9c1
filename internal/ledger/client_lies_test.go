package ledger_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/faultproxy"
)

// rewrite has a method's frames replaced by others; the function gets the method and its channel.
func rewrite[M wire.Method](f func(channel uint16, m M) []wire.Method) func([]byte) []byte {
	return func(raw []byte) []byte {
		frame, _, err := wire.ParseFrame(raw, 0)
		if err != nil {
			panic(err)
		}
		var d wire.Decoder
		m, err := d.Method(frame.Payload)
		if err != nil {
			panic(err)
		}
		var out []byte
		for _, m := range f(frame.Channel, m.(M)) {
			if out, err = wire.AppendMethod(out, frame.Channel, m); err != nil {
				panic(err)
			}
		}
		return out
	}
}

// flip changes a byte of a body.
func flip(raw []byte) []byte {
	raw[len(raw)-2] ^= 1
	return raw
}

// lies are frames that a proxy changes behind the back of client and broker. For the
// checker, which sees what passed, each is a mistake of one of them.
var lies = map[string]struct {
	rule  faultproxy.FrameRule
	cut   bool   // the connections are reset now and then, so that there are redeliveries
	rules string // any of which must be reported, with the side to blame
}{
	"a publish is dropped": {
		rule:  faultproxy.FrameRule{Method: wire.MethodBasicPublish, Skip: 40, Times: 1, Do: faultproxy.Drop},
		rules: "S6/client S4/client S1/client",
	},
	"a publish is changed": {
		rule:  faultproxy.FrameRule{Dir: faultproxy.ToUpstream, Type: wire.FrameBody, Skip: 40, Times: 1, Do: faultproxy.Edit, Edit: flip},
		rules: "S2/client",
	},
	"a publish comes with another key": {
		rule: faultproxy.FrameRule{Method: wire.MethodBasicPublish, Skip: 40, Times: 1, Do: faultproxy.Edit,
			Edit: rewrite(func(_ uint16, m *wire.BasicPublish) []wire.Method {
				m.RoutingKey, m.Mandatory = "nowhere", false
				return []wire.Method{m}
			})},
		rules: "S1/broker",
	},
	"a return is dropped": {
		rule:  faultproxy.FrameRule{Method: wire.MethodBasicReturn, Skip: 2, Times: 1, Do: faultproxy.Drop},
		rules: "S1/broker",
	},
	"a return is repeated": {
		rule:  faultproxy.FrameRule{Method: wire.MethodBasicReturn, Skip: 2, Times: 1, Do: faultproxy.Duplicate},
		rules: "S5/broker",
	},
	"a confirm is forged": {
		rule: faultproxy.FrameRule{Dir: faultproxy.ToClient, Method: wire.MethodBasicAck, Skip: 5, Times: 1, Do: faultproxy.Edit,
			Edit: rewrite(func(_ uint16, m *wire.BasicAck) []wire.Method {
				return []wire.Method{m, &wire.BasicAck{DeliveryTag: 1 << 20}}
			})},
		rules: "S4/broker",
	},
	"a confirm is repeated": {
		rule: faultproxy.FrameRule{Dir: faultproxy.ToClient, Method: wire.MethodBasicAck, Skip: 5, Times: 1, Do: faultproxy.Edit,
			Edit: rewrite(func(_ uint16, m *wire.BasicAck) []wire.Method {
				return []wire.Method{m, &wire.BasicAck{DeliveryTag: m.DeliveryTag}}
			})},
		rules: "S4/broker",
	},
	"a delivery is changed": {
		rule:  faultproxy.FrameRule{Dir: faultproxy.ToClient, Type: wire.FrameBody, Skip: 40, Times: 1, Do: faultproxy.Edit, Edit: flip},
		rules: "S2/broker",
	},
	"a delivery is dropped": {
		rule:  faultproxy.FrameRule{Method: wire.MethodBasicDeliver, Skip: 40, Times: 1, Do: faultproxy.Drop},
		rules: "S12/broker",
	},
	"a delivery is repeated": {
		rule:  faultproxy.FrameRule{Method: wire.MethodBasicDeliver, Skip: 40, Times: 1, Do: faultproxy.Duplicate},
		rules: "S12/broker S10/broker",
	},
	"redelivered is hidden": {
		rule: faultproxy.FrameRule{Method: wire.MethodBasicDeliver, Do: faultproxy.Edit,
			Edit: rewrite(func(_ uint16, m *wire.BasicDeliver) []wire.Method {
				m.Redelivered = false
				return []wire.Method{m}
			})},
		cut:   true,
		rules: "S10/broker",
	},
	"acks are dropped": {
		rule:  faultproxy.FrameRule{Dir: faultproxy.ToUpstream, Method: wire.MethodBasicAck, Skip: 5, Do: faultproxy.Drop},
		rules: "S13/client L1/unclear",
	},
	"an ack is repeated": {
		rule: faultproxy.FrameRule{Dir: faultproxy.ToUpstream, Method: wire.MethodBasicAck, Skip: 5, Times: 1, Do: faultproxy.Edit,
			Edit: rewrite(func(_ uint16, m *wire.BasicAck) []wire.Method {
				return []wire.Method{m, &wire.BasicAck{DeliveryTag: m.DeliveryTag}}
			})},
		rules: "S12/client",
	},
	"an ack reaches too far": {
		rule: faultproxy.FrameRule{Dir: faultproxy.ToUpstream, Method: wire.MethodBasicAck, Skip: 5, Do: faultproxy.Edit,
			Edit: rewrite(func(_ uint16, m *wire.BasicAck) []wire.Method {
				return []wire.Method{&wire.BasicAck{DeliveryTag: 0, Multiple: true}}
			})},
		rules: "S12/client S13/client",
	},
	"a nack becomes an ack": {
		rule: faultproxy.FrameRule{Dir: faultproxy.ToUpstream, Method: wire.MethodBasicNack, Times: 1, Do: faultproxy.Edit,
			Edit: rewrite(func(_ uint16, m *wire.BasicNack) []wire.Method {
				return []wire.Method{&wire.BasicAck{DeliveryTag: m.DeliveryTag}}
			})},
		rules: "S13/client",
	},
	"the prefetch is forgotten": {
		rule: faultproxy.FrameRule{Method: wire.MethodBasicQos, Do: faultproxy.Edit,
			Edit: rewrite(func(_ uint16, m *wire.BasicQos) []wire.Method {
				return []wire.Method{&wire.BasicQos{}}
			})},
		rules: "S14/client",
	},
	"a consumer is there twice": {
		rule: faultproxy.FrameRule{Method: wire.MethodBasicConsume, Do: faultproxy.Edit,
			Edit: rewrite(func(_ uint16, m *wire.BasicConsume) []wire.Method {
				twin := *m
				twin.ConsumerTag, twin.NoWait = "twin", true
				return []wire.Method{&twin, m}
			})},
		rules: "S17/client",
	},
	"a binding is not declared": {
		rule: faultproxy.FrameRule{Method: wire.MethodQueueBind, Do: faultproxy.Edit,
			Edit: rewrite(func(_ uint16, m *wire.QueueBind) []wire.Method {
				m.RoutingKey = "another"
				return []wire.Method{m}
			})},
		rules: "S16/client",
	},
}

// unlucky is how long a run with a lie may take: some never end by themselves.
const unlucky = 2 * time.Second

// TestEveryLieIsCaught shows the checker's teeth on the real client.
func TestEveryLieIsCaught(t *testing.T) {
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told *faultproxy.FrameFault
			r := newClientRun(t, func(p *faultproxy.Proxy) { told = p.Frames(lie.rule) })
			var cuts sync.WaitGroup
			var over atomic.Bool
			if lie.cut {
				cuts.Go(func() { r.resetNowAndThen(&over) })
			}
			r.publish(300, no, unlucky)
			over.Store(true)
			cuts.Wait()
			rules := clientRules()
			rules.Patient, rules.Deadline = false, 0
			history, facts := r.history(unlucky)
			report := history.Check(rules, facts)
			if err := r.close(); err != nil {
				t.Log(err)
			}
			if told.Hits() == 0 {
				t.Fatal("the lie was not told")
			}
			for _, v := range report.Violations {
				if strings.Contains(" "+lie.rules+" ", " "+v.Rule+"/"+v.Blame.String()+" ") {
					return
				}
			}
			t.Errorf("none of %s:\n%s", lie.rules, report)
		})
	}
}

// resetNowAndThen resets all connections a few times while messages flow.
func (r *clientRun) resetNowAndThen(over *atomic.Bool) {
	for n := int64(50); n < 300 && !over.Load(); n += 50 {
		until(unlucky, func() bool { return r.settled.Load() >= n })
		r.proxy.Reset()
	}
}
