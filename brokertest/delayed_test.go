package brokertest

import (
	"slices"
	"testing"
)

// A delayed message is returned and delivered, as the plugin does: to a publisher it is routed nowhere. What asks for no delay
// goes the way of the type underneath, at once.
func TestDelayedExchange(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *Broker, say func(...string) []string) {
		say("a1 confirm.select", "a1 queue.declare Queue=q Durable",
			"a1 exchange.declare Exchange=x Type=x-delayed-message Arguments={x-delayed-type=topic}",
			"a1 queue.bind Queue=q Exchange=x RoutingKey=k.*")
		for _, step := range []struct {
			send string
			want []string
		}{
			{"a1 basic.publish Exchange=x RoutingKey=k.1 Mandatory Headers={x-delay=2000} Body=\"2\"", []string{
				`a1 basic.return ReplyCode=312 ReplyText=NO_ROUTE Exchange=x RoutingKey=k.1 Headers={x-delay=2000} Body="2"`, "a1 confirms acked=[1]"}},
			{"a1 basic.publish Exchange=x RoutingKey=k.1 Headers={x-delay=1000} Body=\"1\"", []string{"a1 confirms acked=[2]"}},
			{"a1 basic.get Queue=q NoAck", []string{"a1 basic.get-empty"}},
			{"a1 basic.publish Exchange=x RoutingKey=k.1 Mandatory Headers={x-delay=-1} Body=\"0\"", []string{"a1 confirms acked=[3]"}},
			{"a1 basic.publish Exchange=x RoutingKey=other Mandatory Body=\"-\"", []string{
				`a1 basic.return ReplyCode=312 ReplyText=NO_ROUTE Exchange=x RoutingKey=other Body="-"`, "a1 confirms acked=[4]"}},
			{"a1 basic.get Queue=q NoAck", []string{`a1 basic.get-ok DeliveryTag=1 Exchange=x RoutingKey=k.1 Headers={x-delay=-1} Body="0"`}},
			{"sleep 1500ms", nil},
			{"a1 basic.get Queue=q NoAck", []string{`a1 basic.get-ok DeliveryTag=2 Exchange=x RoutingKey=k.1 Headers={x-delay=-1000} Body="1"`}},
			{"a1 basic.get Queue=q NoAck", []string{"a1 basic.get-empty"}},
			{"sleep 1s", nil},
			{"a1 basic.get Queue=q NoAck", []string{`a1 basic.get-ok DeliveryTag=3 Exchange=x RoutingKey=k.1 Headers={x-delay=-2000} Body="2"`}},
			{"a1 exchange.declare Exchange=y Type=x-delayed-message", []string{
				`a1 channel.close ReplyCode=406 ReplyText="PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchnage type" ClassID=40 MethodID=10`}},
		} {
			if got := say(step.send); !slices.Equal(got, step.want) {
				t.Errorf("%s: got %q, want %q", step.send, got, step.want)
			}
		}
	}, WithDelayedExchanges())
}
