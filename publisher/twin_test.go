package publisher_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/publisher"
)

// Two messages that look the same to who sees a return: the first one is stored and confirmed late, the second one
// finds no queue any more. Each has its own outcome, and the queue holds what was called confirmed.
func TestWhatIsRoutedNowhereIsNotConfirmed(t *testing.T) {
	beginning := strings.Repeat("the same for all ", 20)
	for name, test := range map[string]struct {
		opts []publisher.Option
		a, b publisher.Message
	}{
		"no ids, and the same beginning": {
			[]publisher.Option{publisher.WithoutMessageIDs()},
			publisher.Message{Body: []byte(beginning + "A")}, publisher.Message{Body: []byte(beginning + "B")},
		},
		"an id used twice, and the same size": {
			nil,
			publisher.Message{Body: []byte("debit 10"), Properties: core.Properties{MessageID: "order-1"}},
			publisher.Message{Body: []byte("credit 7"), Properties: core.Properties{MessageID: "order-1"}},
		},
		"the same message": {
			[]publisher.Option{publisher.WithoutMessageIDs()}, publisher.Message{Body: []byte("A")}, publisher.Message{Body: []byte("A")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Nth(1, brokertest.ConfirmAfter(time.Second))) // as a slow disk does
				p := e.publisher(test.opts...)
				defer e.closeOf(p)
				test.a.RoutingKey, test.b.RoutingKey = "q", "q"
				first, err := p.Send(e.ctx, test.a)
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if held := e.broker.Messages("q"); len(held) != 1 || string(held[0].Body) != string(test.a.Body) {
					t.Errorf("the queue holds %v", held)
				}
				e.broker.DeleteQueue("q")
				second, err := p.Send(e.ctx, test.b)
				if err != nil {
					t.Fatal(err)
				}
				o1, _ := first.Wait(e.ctx)
				o2, _ := second.Wait(e.ctx)
				if o1 != core.OutcomeConfirmed || o2 != core.OutcomeReturned {
					t.Errorf("the first is %v, the second %v", o1, o2)
				}
			})
		})
	}
}
