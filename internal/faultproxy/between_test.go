package faultproxy_test

import (
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/faultproxy"
)

// TestLiftedFramesComeBetweenContents lifts a fault at every point of another content: what was held comes behind
// that, or at once on another channel.
func TestLiftedFramesComeBetweenContents(t *testing.T) {
	heartbeat := string(wire.AppendHeartbeat(nil))
	going := publish(strings.Repeat("b", 6000))
	next := publish("next")[:split(publish("next"))[0]]
	ends := append([]int{0}, split(going)...) // method, header, body, body
	for name, c := range map[string]struct {
		held   string
		method wire.MethodID
		waits  bool
	}{
		"a content":                    {publish("held"), wire.MethodBasicPublish, true},
		"a content on another channel": {message(2, &wire.BasicPublish{}, "held"), wire.MethodBasicPublish, false},
		"a method":                     {ack(1), wire.MethodBasicAck, true},
		"two of one channel":           {ack(1) + ack(2), wire.MethodBasicAck, true},
	} {
		t.Run(name, func(t *testing.T) {
			for n, end := range ends {
				p, client, upstream := amqpPair(t)
				fault := p.Frames(faultproxy.FrameRule{Method: c.method, Do: faultproxy.Hold, Times: strings.Count(name, "two") + 1})
				send(t, client, c.held+heartbeat+going[:end])
				expect(t, upstream, heartbeat+going[:end])
				fault.Lift()
				if began := n > 0 && n < len(ends)-1; !began || !c.waits {
					expect(t, upstream, c.held)
					send(t, client, going[end:])
					expect(t, upstream, going[end:])
					continue
				}
				expectSilence(t, upstream)
				send(t, client, going[end:]+next) // with the beginning of another
				expect(t, upstream, going[end:]+c.held+next)
			}
		})
	}
}

// TestAHeldConfirmComesBehindADelivery is the other direction: the client would end the connection with 505.
func TestAHeldConfirmComesBehindADelivery(t *testing.T) {
	p, client, upstream := amqpPair(t)
	fault := p.Frames(faultproxy.FrameRule{Dir: faultproxy.ToClient, Method: wire.MethodBasicAck, Do: faultproxy.Hold})
	delivery := message(1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1}, "body")
	method := split(delivery)[0]
	send(t, upstream, ack(1)+delivery[:method])
	expect(t, client, delivery[:method])
	fault.Lift()
	expectSilence(t, client)
	send(t, upstream, delivery[method:])
	expect(t, client, delivery[method:]+ack(1))
}

// TestInjectedFramesComeBetweenContents injects into a content. Each channel waits for its own alone, and a content
// that is injected is not torn apart.
func TestInjectedFramesComeBetweenContents(t *testing.T) {
	p, client, upstream := amqpPair(t)
	going, whole := publish("going"), message(2, &wire.BasicPublish{}, "on another channel")
	method, first := split(going)[0], split(whole)[0]
	send(t, client, going[:method])
	expect(t, upstream, going[:method])
	p.Inject(faultproxy.ToUpstream, []byte(ack(1)+whole[:first]+ack(2)+whole[first:]))
	expect(t, upstream, whole)
	p.Inject(faultproxy.ToUpstream, []byte(ack(3)))
	expectSilence(t, upstream)
	send(t, client, going[method:])
	expect(t, upstream, going[method:]+ack(1)+ack(2)+ack(3))
	p.Inject(faultproxy.ToUpstream, []byte(ack(4)+"no frame"))
	expect(t, upstream, ack(4)+"no frame")
}

// TestWhatAFaultForwardsCountsAsBegun has contents pass that faults have let through.
func TestWhatAFaultForwardsCountsAsBegun(t *testing.T) {
	for name, rule := range map[string]faultproxy.FrameRule{
		"duplicated": {Do: faultproxy.Duplicate},
		"edited":     {Do: faultproxy.Edit, Edit: func(frame []byte) []byte { return frame }},
	} {
		t.Run(name, func(t *testing.T) {
			p, client, upstream := amqpPair(t)
			rule.Method = wire.MethodBasicPublish
			p.Frames(rule)
			going := publish("going")
			method := split(going)[0]
			send(t, client, going[:method])
			expect(t, upstream, going[:method])
			p.Inject(faultproxy.ToUpstream, []byte(ack(1)))
			expectSilence(t, upstream)
			send(t, client, going[method:])
			expect(t, upstream, going[method:])
			if rule.Do == faultproxy.Duplicate {
				expect(t, upstream, going)
			}
			expect(t, upstream, ack(1))
		})
	}
}

// TestAnEmptyContentEndsWithItsHeader injects behind one, and behind a content that another method broke off.
func TestAnEmptyContentEndsWithItsHeader(t *testing.T) {
	p, client, upstream := amqpPair(t)
	empty := publish("")
	broken := empty[:split(empty)[0]] + ack(1)
	for _, before := range []string{empty, broken} {
		send(t, client, before)
		expect(t, upstream, before)
		p.Inject(faultproxy.ToUpstream, []byte(ack(2)))
		expect(t, upstream, ack(2))
	}
}
