package publisher

import (
	"github.com/warren-mq/warren/core"
)

// Message is a message to publish. Body and the tables in Properties are
// borrowed until the message has its outcome: do not change them before.
type Message struct {
	Exchange   string // "": the publisher's
	RoutingKey string // routing key
	Body       []byte
	Properties core.Properties
	Mandatory  Mandatory // whether it comes back if no queue takes it; MandatoryAuto: see there
}

// persistent is the delivery mode of messages that survive a broker's restart.
const persistent = 2

// publishing fills in what is sent for m, but for the message id.
func (p *Publisher) publishing(r *Receipt, m *Message) {
	out := &r.pub
	*out = core.Publishing{Exchange: m.Exchange, RoutingKey: m.RoutingKey, Properties: m.Properties, Body: m.Body}
	if out.Exchange == "" {
		out.Exchange = p.cfg.exchange
	}
	mandatory := p.mandatory(out.Exchange, m)
	out.Mandatory, r.insisted = mandatory != MandatoryOff, mandatory == MandatoryOn
	if out.Properties.DeliveryMode == 0 {
		out.Properties.DeliveryMode = p.cfg.deliveryMode
	}
}
