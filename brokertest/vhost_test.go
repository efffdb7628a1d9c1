package brokertest

import (
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// TestVHostsAreServedAlike publishes to, looks into and deletes queues of one name in two virtual hosts.
func TestVHostsAreServedAlike(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		other := newTalk(t, b)
		other.vhost = "other"
		defer other.hangup()
		say("a1 queue.declare Queue=q Durable", "a1 basic.consume Queue=q ConsumerTag=c")
		other.say("a1 queue.declare Queue=q Durable")
		h := b.VHost("other")
		if routed, err := h.Publish("", "q", wire.Properties{}, []byte("1")); !routed || err != nil {
			t.Errorf("published: %v, %v", routed, err)
		}
		expect(t, say())
		if got := h.Messages("q"); len(got) != 1 || string(got[0].Body) != "1" || len(b.Messages("q")) != 0 {
			t.Errorf("%+v, and in / %+v", got, b.Messages("q"))
		}
		if q, ok := h.Queue("q"); !ok || q.VHost != "other" || q.Ready != 1 {
			t.Errorf("%+v, %v", q, ok)
		}
		if !h.DeleteQueue("q") || h.DeleteQueue("q") {
			t.Error("a queue is deleted once")
		}
		expect(t, say())
		if _, ok := b.Queue("q"); !ok {
			t.Error("the queue of / is gone too")
		}
		b.Restart(Forget)
		say()
		other.collect()
		if got := h.Messages("q"); got != nil {
			t.Errorf("%+v after all was forgotten", got)
		}
	}, WithVHost("other"))
}

func TestVHostThatIsNone(t *testing.T) {
	b := New(t)
	defer func() {
		if recover() == nil {
			t.Error("there is a virtual host that nobody has made")
		}
	}()
	b.VHost("absent")
}
