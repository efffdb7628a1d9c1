package channel

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

// On a connection of its own the broker refuses the binding of an exclusive
// queue in any case. That it closes no connection any more is what counts.
func TestABindingOfAnExclusiveQueueThatClosedTheConnectionComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		_, q := ownQueue(t, b)
		locked := 0
		b.OnReceive(wire.MethodQueueBind, brokertest.Nth(1, brokertest.Refuse(uint16(core.ErrInternal), "INTERNAL_ERROR")))
		b.OnSend(wire.MethodChannelClose, func(e brokertest.Event) brokertest.Action {
			if e.Method.(*wire.ChannelClose).ReplyCode == uint16(core.ErrResourceLocked) {
				locked++
			}
			return brokertest.Pass
		})
		b.cut(t)
		awaitEpoch(t, b.conn, 3)
		synctest.Wait()
		if s := b.conn.State(); len(s.Degraded) != 1 || len(bound(b)) != 0 {
			t.Errorf("degraded %s, bound %v; want it left out at first", sessiontest.Entities(s.Degraded), bound(b))
		}
		b.ready(t)
		if b.conn.State().Epoch != 3 || locked != 1 {
			t.Errorf("epoch %d, refused %d times on a connection of its own; want 3 and once", b.conn.State().Epoch, locked)
		}
		if got := bound(b); len(got) != 1 || got[0] != b.conn.Resolve(q) {
			t.Errorf("bound %v", got)
		}
	})
}

func TestQueuesThatSurvivedAreToldFromThoseRecreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		for _, q := range []string{"kept", "gone"} {
			declare(t, ch, core.QueueDeclare{Queue: q, Durable: true})
		}
		declare(t, ch, core.QueueDeclare{Queue: "mine", Exclusive: true})
		b.Stop()
		b.DeleteQueue("gone")
		b.Start()
		synctest.Wait()
		b.ready(t)
		r := b.journal.Last(t, recovery.EventRecovered).Report
		if r.Survived != 1 || !slices.Equal(r.Recreated, []string{`queue "gone"`}) {
			t.Errorf("survived %d, recreated %v", r.Survived, r.Recreated)
		}
		if e := b.journal.Last(t, recovery.EventRecreated); e.Entity != `queue "gone"` {
			t.Errorf("event %v", e)
		}
		if len(b.Queues()) != 3 {
			t.Errorf("queues %v", b.Queues())
		}
	})
}

// TestAQueueWhoseNodeIsDownIsNotTakenForRecreated has the broker refuse a classic queue of a cluster as it does while the
// queue's node is down: with 404, as if it were gone.
func TestAQueueWhoseNodeIsDownIsNotTakenForRecreated(t *testing.T) {
	for _, text := range []string{
		"NOT_FOUND - home node 'rabbit@rabbit1' of durable queue 'kept' in vhost '/' is down or inaccessible",
		"NOT_FOUND - queue 'kept' in vhost '/' process is stopped by supervisor",
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, session.Config{})
			declare(t, b.channel(t), core.QueueDeclare{Queue: "kept", Durable: true})
			down := b.OnReceive(wire.MethodQueueDeclare, brokertest.Always(brokertest.Refuse(404, text)))
			b.cut(t)
			await(t, b.conn, func(s recovery.State) bool { return len(s.Degraded) > 0 }) // named, and tried again
			down.Remove()
			b.ready(t)
			if r := b.journal.Last(t, recovery.EventRecovered).Report; len(r.Recreated) > 0 || len(b.journal.Of(recovery.EventRecreated)) > 0 {
				t.Errorf("recreated %v, of which events tell %v", r.Recreated, b.journal.Of(recovery.EventRecreated))
			}
			if len(b.journal.Of(recovery.EventRestored)) != 1 {
				t.Errorf("events %v", b.journal.Of(recovery.EventRestored))
			}
		})
	}
}

func TestAWipedBrokerIsNotAskedForEveryQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		const n = 1000
		for i := range n {
			declare(t, ch, core.QueueDeclare{Queue: fmt.Sprintf("q%d", i), Durable: true})
		}
		b.Restart(0) // Forget
		synctest.Wait()
		b.ready(t)
		r := b.journal.Last(t, recovery.EventRecovered).Report
		if len(b.Queues()) != n || r.Declared != n {
			t.Errorf("%d queues, %d declared; want %d", len(b.Queues()), r.Declared, n)
		}
	})
}
