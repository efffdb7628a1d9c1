package channel

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// A stream that comes back empty is told from one that survived, however much is declared.
func TestAStreamThatIsReplacedIsNoticed(t *testing.T) {
	tests := []struct {
		name   string
		all    bool // ReplayAll
		others int
	}{
		{"with everything else", false, 300},
		{"with ReplayAll", true, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, session.Config{Config: recovery.Config{ReplayAll: test.all}})
				ch := b.channel(t)
				declare(t, ch, core.QueueDeclare{Queue: "s", Durable: true, Arguments: core.Table{"x-queue-type": topology.Stream}})
				for i := range test.others {
					declare(t, ch, core.QueueDeclare{Queue: fmt.Sprint(i), Durable: true})
				}
				b.cut(t)
				b.ready(t)
				if n := b.conn.Recreations("s"); n != 0 {
					t.Errorf("counted as replaced %d times, though it survived", n)
				}
				b.Restart(brokertest.Forget)
				b.ready(t)
				if n, r := b.conn.Recreations("s"), b.journal.Last(t, recovery.EventRecovered).Report; n != 1 || !slices.Contains(r.Recreated, `queue "s"`) {
					t.Errorf("counted as replaced %d times, reported %v", n, r.Recreated)
				}
			})
		})
	}
}

// A broker that closes the connection over a look at what has survived is not asked again and again.
func TestASurveyThatClosesTheConnectionIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		declare(t, ch, core.QueueDeclare{Queue: "bad", Durable: true})
		looks := 0
		b.OnReceive(wire.MethodQueueDeclare, func(e brokertest.Event) brokertest.Action {
			if !e.Method.(*wire.QueueDeclare).Passive {
				return brokertest.Pass
			}
			looks++
			return brokertest.Refuse(541, "INTERNAL_ERROR")
		})
		for n := range 3 {
			time.Sleep(time.Hour)
			b.cut(t)
			b.ready(t)
			if s := b.conn.State(); looks != n+1 || !s.Ready() || s.Epoch != uint64(2*n+3) { // two connections for each
				t.Fatalf("after loss %d: looked %d times, state %+v", n+1, looks, s)
			}
		}
	})
}
