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
)

// ownQueue returns a channel with an exclusive queue that the broker named and bound.
func ownQueue(t *testing.T, b *bed) (*Channel, string) {
	t.Helper()
	ch := b.channel(t)
	must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "x", Type: "fanout"}))
	q := declare(t, ch, core.QueueDeclare{Exclusive: true})
	must(t, ch.QueueBind(t.Context(), core.QueueBind{Exchange: "x"}))
	return ch, q
}

// An exclusive queue that the broker named is declared again once, however
// many find it gone, at the same moment or one after the other.
func TestAnExclusiveQueueIsNotDoubledOnALivingConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch, q := ownQueue(t, b)
		other := b.channel(t)
		for i, ch := range []*Channel{ch, ch, other} {
			consume(t, ch, q, string(rune('a'+i)))
		}
		if !b.DeleteQueue(q) {
			t.Fatal("nothing was deleted")
		}
		b.ready(t)
		if got := bound(b); len(got) != 1 || got[0] != b.conn.Resolve(q) || got[0] == q || len(b.Queues()) != 1 {
			t.Errorf("bound %v, queues %+v; want one, under a new name", got, b.Queues())
		}
		if got := b.Consumers(); len(got) != 3 {
			t.Errorf("consumers %+v", got)
		}
	})
}

// Retries of a consumer that is refused leave no queues behind.
func TestAnExclusiveQueueIsNotDoubledByARefusedConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch, q := ownQueue(t, b)
		consume(t, ch, q, "tag")
		b.SetPermissions("guest", "/", ".*", ".*", "^x$")
		b.CancelConsumer("tag")
		time.Sleep(10 * time.Minute)
		if n := len(b.journal.Of(recovery.EventConsumerLost)); n < 5 {
			t.Fatalf("it was tried %d times", n)
		}
		if got := bound(b); len(got) != 1 || got[0] != q {
			t.Errorf("bound %v; want %s, which lives", got, q)
		}
		b.SetPermissions("guest", "/", ".*", ".*", ".*")
		b.ready(t)
	})
}

// A binding that is tried again, with its ends, takes the queue that lives.
func TestAnExclusiveQueueIsNotDoubledByItsBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		_, q := ownQueue(t, b)
		refused := b.OnReceive(wire.MethodQueueBind, func(e brokertest.Event) brokertest.Action {
			if e.N <= 5 {
				return brokertest.Refuse(uint16(core.ErrNotFound), "NOT_FOUND")
			}
			return brokertest.Pass
		})
		b.cut(t)
		b.ready(t)
		if got := bound(b); len(got) != 1 || got[0] != b.conn.Resolve(q) || len(b.Queues()) != 1 || refused.Hits() < 6 {
			t.Errorf("after %d bindings, bound %v, queues %+v", refused.Hits(), got, b.Queues())
		}
	})
}

// bound returns the queues bound to exchange x.
func bound(b *bed) (queues []string) {
	for _, binding := range b.Bindings() {
		if binding.Source == "x" {
			queues = append(queues, binding.Destination)
		}
	}
	return queues
}
