package brokertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// TestInjectedContentFitsTheClient sends a message to a client that has asked for smaller frames than the broker's.
func TestInjectedContentFitsTheClient(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say(loginLines...)
		say("a0 connection.tune-ok FrameMax=8192 ChannelMax=10", "a0 connection.open VirtualHost=/", "a1 channel.open")
		largest := 0
		b.OnSendFrame(func(f Frame) Action {
			largest = max(largest, f.Size+wire.FrameOverhead)
			return Pass
		})
		body := strings.Repeat("x", 20000)
		if ok, err := b.Inject(1, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1}, wire.Properties{}, []byte(body)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		expect(t, say(), `a1 basic.deliver ConsumerTag=c DeliveryTag=1 Body="`+body+`"`)
		if largest != 8192 {
			t.Errorf("the largest frame had %d octets, want 8192", largest)
		}
	})
}

// TestHooksSeeWhatIsBehindNonsense injects octets that are no frame in front of an answer, to be written with it.
func TestHooksSeeWhatIsBehindNonsense(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		l := b.Links()[0]
		l.StallSending()
		say("a1 queue.declare Queue=q Durable") // its answer is on its way, what follows gathers behind
		b.InjectBytes(1, []byte("\x07nonsense"))
		h := b.OnSend(wire.MethodQueueDeclareOk, Always(Pass))
		say("a1 queue.declare Queue=q Durable")
		b.InjectBytes(1, []byte("\x07nonsense"))
		say("a1 queue.declare Queue=q Durable")
		l.Resume()
		if got := say(); len(got) != 2 || !strings.Contains(strings.Join(got, "\n"), "frame error") {
			t.Errorf("%q", got)
		}
		if h.Hits() != 2 {
			t.Errorf("the hook was asked about %d answers behind the nonsense, want 2", h.Hits())
		}
		ok := func(line string) bool { return line == "< 1 queue.declare-ok Queue=q" }
		if got := slices.DeleteFunc(b.Transcript(1), func(line string) bool { return !ok(line) }); len(got) != 4 {
			t.Errorf("the transcript has %d answers, want 4", len(got))
		}
	}, WithTranscript())
}
