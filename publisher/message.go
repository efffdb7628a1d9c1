package publisher

import (
	"github.com/warren-mq/warren/core"
)

// Message is a message to publish. Body and the tables in Properties are
// borrowed until the message has its outcome: do not change them before.
type Message struct {
	Exchange   string // "": the publisher's
	Key        string // routing key
	Body       []byte
	Properties core.Properties
}

// persistent is the delivery mode of messages that survive a broker's restart.
const persistent = 2

// publishing fills in what is sent for m, but for the message id.
func (p *Publisher) publishing(out *core.Publishing, m *Message) {
	*out = core.Publishing{
		Exchange: m.Exchange, RoutingKey: m.Key, Mandatory: !p.cfg.unroutable,
		Properties: m.Properties, Body: m.Body,
	}
	if out.Exchange == "" {
		out.Exchange = p.cfg.exchange
	}
	if out.Properties.DeliveryMode == 0 {
		out.Properties.DeliveryMode = p.cfg.deliveryMode
	}
}
