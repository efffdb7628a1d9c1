package channel

import (
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

// What the application declares again, or deletes, is not refused any more, however rarely it was to be tried.
func TestWhatTheApplicationRepairsLeavesTheQuarantine(t *testing.T) {
	for name, refusal := range map[string]brokertest.Action{
		"refused":                   brokertest.Refuse(406, "PRECONDITION_FAILED - inequivalent arg"),
		"refused by the connection": brokertest.Refuse(541, "INTERNAL_ERROR"),
	} {
		for repair, act := range map[string]func(t *testing.T, ch *Channel){
			"declared": func(t *testing.T, ch *Channel) {
				declare(t, ch, core.QueueDeclare{Queue: "bad", Durable: true})
			},
			"deleted": func(t *testing.T, ch *Channel) {
				if _, err := ch.QueueDelete(t.Context(), core.QueueDelete{Queue: "bad"}); err != nil {
					t.Fatal(err)
				}
			},
		} {
			t.Run(name+", "+repair, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBed(t, session.Config{Config: recovery.Config{Semantic: recovery.Budget{Attempts: 3}}})
					ch := b.channel(t)
					declare(t, ch, core.QueueDeclare{Queue: "bad", Durable: true})
					must(t, ch.QueueBind(t.Context(), core.QueueBind{Queue: "bad", Exchange: "amq.fanout"}))
					b.DeleteQueue("bad")
					bad := b.OnReceive(wire.MethodQueueDeclare, func(e brokertest.Event) brokertest.Action {
						if e.Method.(*wire.QueueDeclare).Passive {
							return brokertest.Pass
						}
						return refusal
					})
					b.cut(t)
					time.Sleep(10 * time.Minute)
					if s := b.conn.State(); s.Ready() || len(s.Degraded) == 0 {
						t.Fatalf("state %+v", s)
					}
					bad.Remove()
					act(t, ch)
					synctest.Wait() // its bindings are tried again
					if s := b.conn.State(); !s.Ready() {
						t.Errorf("state %+v", s)
					}
					tried := b.OnReceive(wire.MethodQueueDeclare, brokertest.Always(brokertest.Pass))
					time.Sleep(3 * time.Hour)
					if tried.Hits() > 0 {
						t.Errorf("declared %d times more", tried.Hits())
					}
				})
			})
		}
	}
}

// A queue whose declaration was not answered may be another one than its bindings were made to: the broker can take that one
// away before it answers. So they are made once more.
func TestAQueueThatIsDeclaredLateIsBoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{Config: recovery.Config{ReplayAll: true}})
		ch := b.channel(t)
		must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "copies", Type: "fanout", AutoDelete: true, Durable: true}))
		declare(t, ch, core.QueueDeclare{Queue: "late", Durable: true})
		must(t, ch.QueueBind(t.Context(), core.QueueBind{Queue: "late", Exchange: "copies"}))
		hung := b.OnReceive(wire.MethodQueueDeclare, brokertest.Always(brokertest.Swallow))
		b.cut(t)
		if err := b.conn.Await(t.Context(), func(s recovery.State) bool {
			return s.Stage.Reached(recovery.StagePublishReady) && len(s.Degraded) == 1
		}); err != nil {
			t.Fatal(err)
		}
		b.DeleteQueue("late") // with its binding goes the exchange
		hung.Remove()
		b.ready(t)
		must(t, ch.Publish(t.Context(), &core.Publishing{Exchange: "copies"}))
		synctest.Wait()
		if q, ok := b.Queue("late"); !ok || q.Ready != 1 {
			t.Errorf("queue %+v", q)
		}
		if n := len(b.journal.Of(recovery.EventRestored)); n != 1 {
			t.Errorf("restored %d times", n)
		}
	})
}

// TestWhatIsRecordedTooLateIsDeclaredOnThePresentConnection: an answer of the last connection may be recorded when the
// present one is restored already. Nobody is disconnected for it, and a binding between survivors comes too.
func TestWhatIsRecordedTooLateIsDeclaredOnThePresentConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		last, err := b.conn.Session(t.Context())
		must(t, err)
		b.cut(t)
		b.ready(t)
		must(t, b.recorder.Exchange(topology.Exchange{Name: "x"}))
		must(t, b.recorder.Queue(topology.Queue{Name: "q"}, "q"))
		must(t, b.conn.Verify(t.Context())) // which are survivors from now on
		for _, late := range []topology.Entity{topology.Queue{Name: "late", Exclusive: true}, topology.Binding{Source: "x", Destination: "q"}} {
			b.conn.Record(last.Conn, late, "late")
		}
		synctest.Wait()
		if _, ok := b.Queue("late"); !ok || len(b.Bindings()) != 1 || b.conn.State().Epoch != 2 {
			t.Errorf("queue there: %t, bindings %v, state %+v", ok, b.Bindings(), b.conn.State())
		}
		must(t, b.conn.Close(t.Context()))
	})
}
