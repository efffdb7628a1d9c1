package brokertest

import (
	"fmt"

	"github.com/warren-mq/warren/internal/script"
)

// WithTranscript has the broker write down all methods that it receives and sends, see [Broker.Transcript].
func WithTranscript() Option {
	return func(c *config) { c.transcribe = true }
}

// Transcript returns what a connection has received (">") and sent ("<") so far, one method a line with the
// number of its channel, credentials left out:
//
//	> 1 queue.declare Queue=orders Durable
//	< 1 queue.declare-ok Queue=orders
//
// The broker writes down what it sends when it writes to the socket. It needs [WithTranscript].
func (b *Broker) Transcript(connection int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.transcripts[connection]...)
}

// note writes a method down. Caller holds mu.
func (b *Broker) note(e Event, received bool) {
	if !b.transcribe {
		return
	}
	arrow := "<"
	if received {
		arrow = ">"
	}
	var content *script.Content
	if hasContent(e.Method) {
		content = &script.Content{Properties: e.Properties, Body: e.Body}
	}
	b.transcripts[e.Connection] = append(b.transcripts[e.Connection],
		fmt.Sprintf("%s %d %s", arrow, e.Channel, script.Format(e.Method, content)))
}
