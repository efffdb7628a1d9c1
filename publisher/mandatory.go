package publisher

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/warren-mq/warren/core"
)

// Mandatory says whether the broker is to give a message back that no queue
// takes; it then ends as [core.OutcomeReturned], else as confirmed.
type Mandatory uint8

const (
	// MandatoryAuto: yes, unless it says nothing. RabbitMQ before 4.2 returns every direct reply
	// (amq.rabbitmq.reply-to.* on the default exchange) that it delivers, and an exchange of type
	// x-delayed-message every message that it delays (header x-delay): neither is mandatory, where the
	// exchange was declared by this client. A delayed message that comes back from an
	// exchange that was not, or that leads to a delayed one, ends as [core.OutcomeUnknown].
	MandatoryAuto Mandatory = iota
	// MandatoryOn: yes, whatever a return says.
	MandatoryOn
	// MandatoryOff: no.
	MandatoryOff
)

// Exchanges and keys that return what they deliver.
const (
	directReply = "amq.rabbitmq.reply-to."
	delayedType = "x-delayed-message"
	delayHeader = "x-delay"
	maxDelay    = 1<<32 - 1 // above it nothing is delayed
)

// mandatory returns the choice for a message to exchange: its own, the exchange's, the publisher's.
func (p *Publisher) mandatory(exchange string, m *Message) Mandatory {
	choice := m.Mandatory
	if choice == MandatoryAuto {
		choice = p.cfg.mandatory[exchange]
	}
	switch {
	case choice != MandatoryAuto:
		return choice
	case p.cfg.unroutable, exchange == "" && strings.HasPrefix(m.RoutingKey, directReply):
		return MandatoryOff
	case exchange != "" && delays(m.Properties.Headers) && p.exchangeType(exchange) == delayedType:
		return MandatoryOff
	}
	return MandatoryAuto
}

// exchangeType returns the type of an exchange that this client has declared, else "".
func (p *Publisher) exchangeType(name string) string {
	if r := p.conn.Recorder(); r != nil {
		return r.ExchangeType(name)
	}
	return ""
}

// delays reports whether an exchange of type x-delayed-message holds back a message with these headers.
func delays(headers core.Table) bool {
	if len(headers) == 0 {
		return false
	}
	value, ok := headers[delayHeader]
	if !ok {
		return false
	}
	ms, err := strconv.ParseFloat(fmt.Sprint(value), 64) // a number of any kind, or its text
	return err == nil && ms >= 1 && ms <= maxDelay
}

// plainTypes are those of RabbitMQ and of the plugins it comes with: they deliver nothing that they return.
var plainTypes = map[string]bool{
	"":       true, // not known
	"direct": true, "fanout": true, "topic": true, "headers": true, "x-local-random": true,
	"x-consistent-hash": true, "x-modulus-hash": true, "x-random": true, "x-recent-history": true, "x-jms-topic": true,
}

// mayDeliver reports whether the broker may deliver, now or later, what it has returned of r.
func (p *Publisher) mayDeliver(r *Receipt) bool {
	if r.pub.Exchange == "" {
		return strings.HasPrefix(r.pub.RoutingKey, directReply)
	}
	return delays(r.pub.Properties.Headers) || !plainTypes[p.exchangeType(r.pub.Exchange)]
}

// returnedLocked ends a message that came back and may be delivered all the same: it is not sent again.
func (p *Publisher) returnedLocked(r *Receipt, v core.Verdict) {
	if !r.insisted && delays(r.pub.Properties.Headers) {
		v = core.Verdict{Outcome: core.OutcomeUnknown, Cause: errMayBeDelayed}
	}
	p.finishLocked(r, v)
}

var errMayBeDelayed = errors.New("the broker returned it, as an x-delayed-message exchange does with what it delivers later; " +
	"declare such an exchange with this client, or choose with Mandatory")
