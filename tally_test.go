package warren_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/recovery"
)

// TestReportsCountWhatLossesDid to publishes and acks: a message without a
// verdict in the report of the recovery from that loss, an ack that comes after
// it in the next one.
func TestReportsCountWhatLossesDid(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		reports := map[string][]recovery.Tally{}
		defer client.Listen(func(ev warren.Event) {
			if ev.Kind == recovery.EventRecovered {
				reports[ev.Connection] = append(reports[ev.Connection], ev.Report.Tally)
			}
		})()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}, {Name: "other"}}})
		release := make(chan struct{})
		go func() {
			_ = client.Consume(e.ctx, "q", func(context.Context, *warren.Delivery) error {
				<-release
				return nil
			})
		}()
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
			t.Fatal(err)
		}
		unconfirmed := e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed))
		receipt, err := pub.Send(e.ctx, warren.Message{RoutingKey: "other"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		unconfirmed.Remove()
		e.broker.Cut()
		time.Sleep(time.Minute)
		if _, err := receipt.Wait(e.ctx); err != nil {
			t.Errorf("%v", err)
		}
		close(release) // the ack of a delivery of the lost connection
		synctest.Wait()
		e.broker.Cut()
		time.Sleep(time.Minute)
		synctest.Wait()
		for connection, want := range map[string][]recovery.Tally{
			"publish": {{Unknown: 1}, {}},
			"main":    {{}, {StaleAcks: 1}},
		} {
			if got := reports[connection]; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
				t.Errorf("%s: %+v; want %+v", connection, got, want)
			}
		}
		e.close(client)
	})
}
