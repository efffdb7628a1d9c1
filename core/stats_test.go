package core

import (
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/core/wire"
)

// longer returns the frame of a method with bytes behind its last argument.
func longer(t *testing.T, ch uint16, m wire.Method) []byte {
	t.Helper()
	f, _, err := wire.ParseFrame(encoded(t, ch, m), 0)
	noErr(t, err)
	return rawFrame(wire.FrameMethod, ch, append(f.Payload[:len(f.Payload):len(f.Payload)], 1, 2, 3))
}

// What a later version of the protocol may say behind a method's arguments is ignored, and counted.
func TestBytesBehindTheLastArgumentAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		conf := publishes(t, p, ch, 1)[0] // before the broker blocks
		p.raw(longer(t, 0, &wire.ConnectionBlocked{Reason: "r"}))
		p.raw(longer(t, 1, &wire.ChannelFlow{Active: true}))
		p.raw(longer(t, 1, &wire.BasicAck{DeliveryTag: 1}))
		synctest.Wait()
		if o := conf.Verdict().Outcome; o != OutcomeConfirmed {
			t.Errorf("outcome %s", o)
		}
		if n := ch.Conn().Stats().Ignored; n != 3 {
			t.Errorf("%d ignored, want 3", n)
		}
		noErr(t, ch.Conn().Err())
	})
}
