package publisher_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core/wire"
)

// TestPublishesFollowConfirmSelectOnTheWire: they need not wait for its answer,
// for the broker handles it first.
func TestPublishesFollowConfirmSelectOnTheWire(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		answers := e.broker.OnSend(wire.MethodConfirmSelectOk, brokertest.Always(brokertest.Pass))
		var order []string
		for _, id := range []wire.MethodID{wire.MethodConfirmSelect, wire.MethodBasicPublish} {
			e.broker.OnReceive(id, func(ev brokertest.Event) brokertest.Action {
				order = append(order, ev.Method.ID().String())
				return brokertest.Pass
			})
		}
		p := e.publisher()
		defer e.closeOf(p)
		e.wantConfirmed(e.send(p, 1, 2)...)
		if want := []string{"confirm.select", "basic.publish", "basic.publish"}; !slices.Equal(order, want) || answers.Hits() > 0 {
			t.Errorf("the broker received %q, and was waited for %d times", order, answers.Hits())
		}
	})
}

// TestNothingIsPublishedWhereConfirmModeIsRefused: the broker closes the
// channel then, and ignores what follows on it.
func TestNothingIsPublishedWhereConfirmModeIsRefused(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		e.broker.OnReceive(wire.MethodConfirmSelect, brokertest.Nth(1, brokertest.Refuse(406, "PRECONDITION_FAILED - no")))
		p := e.publisher()
		defer e.closeOf(p)
		e.wantConfirmed(e.send(p, 1, 3)...)
		synctest.Wait()
		if got := e.bodies("q"); !slices.Equal(got, numbers(1, 3)) {
			t.Errorf("the queue holds %v", got)
		}
	})
}
