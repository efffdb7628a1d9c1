package brokertest

import (
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

func TestPublishAndMessages(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable", "a1 queue.declare Queue=short Durable Arguments={x-max-length=0 x-overflow=reject-publish}",
			"a1 exchange.declare Exchange=inner Type=fanout Internal")
		for i, want := range map[string]bool{"q": true, "nowhere": false, "short": false} {
			if routed, err := b.Publish("", i, wire.Properties{MessageID: "m"}, []byte("1")); routed != want || err != nil {
				t.Errorf("to %s: %v, %v", i, routed, err)
			}
		}
		for _, exchange := range []string{"absent", "inner"} {
			if _, err := b.Publish(exchange, "", wire.Properties{}, nil); err == nil {
				t.Errorf("published to the exchange %s", exchange)
			}
		}
		if _, err := b.Publish("", "q", wire.Properties{Headers: wire.Table{"x": struct{}{}}}, nil); err == nil {
			t.Error("a header without a form on the wire was taken")
		}
		expect(t, say("a1 basic.get Queue=q"), `a1 basic.get-ok DeliveryTag=1 RoutingKey=q MessageID=m Body="1"`)
		if got := b.Messages("q"); len(got) != 0 {
			t.Errorf("%+v waits, and a client has it", got)
		}
		say(`a1 basic.publish RoutingKey=q Body="2"`, "a1 basic.reject DeliveryTag=1 Requeue")
		for range 2 { // looking changes nothing
			got := b.Messages("q")
			if len(got) != 2 || string(got[0].Body) != "1" || !got[0].Redelivered || got[0].Properties.MessageID != "m" || string(got[1].Body) != "2" {
				t.Errorf("%+v", got)
			}
		}
		if got := b.Messages("absent"); got != nil {
			t.Errorf("%+v", got)
		}
	})
}

func TestMessagesOfQuorumQueuesAndStreams(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		for _, kind := range []string{"quorum", "stream"} {
			say("a1 queue.declare Queue=" + kind + " Durable Arguments={x-queue-type=" + kind + "}")
			for _, body := range []string{"1", "2"} {
				if _, err := b.Publish("", kind, wire.Properties{}, []byte(body)); err != nil {
					t.Fatal(err)
				}
			}
			if got := b.Messages(kind); len(got) != 2 || string(got[0].Body)+string(got[1].Body) != "12" {
				t.Errorf("%s: %+v", kind, got)
			}
		}
	})
}
