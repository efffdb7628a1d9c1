package publisher

import (
	"fmt"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Option configures a [Publisher].
type Option func(*config)

type config struct {
	name         string
	exchange     string
	unroutable   bool
	mandatory    map[string]Mandatory // by exchange
	deliveryMode uint8
	messageIDs   bool
	atMostOnce   bool
	maxMessages  int
	maxBytes     int
	maxAttempts  int
	returnGrace  time.Duration
}

// Defaults of the options.
const (
	DefaultMaxMessages = 4096
	DefaultMaxBytes    = 64 << 20
	DefaultReturnGrace = 2 * time.Second
)

func newConfig(opts []Option) (config, error) {
	c := config{
		deliveryMode: persistent, messageIDs: true,
		maxMessages: DefaultMaxMessages, maxBytes: DefaultMaxBytes, returnGrace: DefaultReturnGrace,
	}
	for i, opt := range opts {
		if opt == nil {
			return c, fmt.Errorf("option %d is nil", i+1)
		}
		opt(&c)
	}
	if c.name == "" {
		c.name = fmt.Sprintf("publisher to exchange %q", c.exchange)
	}
	switch {
	case c.maxMessages < 1 || c.maxBytes < 1:
		return c, fmt.Errorf("window of %d messages and %d bytes: both must be at least 1", c.maxMessages, c.maxBytes)
	case c.maxAttempts < 0:
		return c, fmt.Errorf("at most %d attempts: must be at least 1, or 0 for no bound", c.maxAttempts)
	case c.returnGrace < 0:
		return c, fmt.Errorf("return grace of %s: must not be negative; 0 turns it off", c.returnGrace)
	}
	return c, wire.ValidateShortstr("exchange", c.exchange)
}

// Name names the publisher in events and logs.
func Name(name string) Option { return func(c *config) { c.name = name } }

// Exchange is where messages go that name none. Default: the default
// exchange, whose routing keys are the names of queues.
func Exchange(name string) Option { return func(c *config) { c.exchange = name } }

// AllowUnroutable counts a message as confirmed though no queue took it: no
// message is mandatory unless it, or its exchange, says so. Default: see [MandatoryAuto].
func AllowUnroutable() Option { return func(c *config) { c.unroutable = true } }

// ExchangeMandatory is what messages to one exchange are that do not choose
// themselves. "" is the default exchange.
func ExchangeMandatory(exchange string, m Mandatory) Option {
	return func(c *config) {
		if c.mandatory == nil {
			c.mandatory = map[string]Mandatory{}
		}
		c.mandatory[exchange] = m
	}
}

// Transient makes messages that set no delivery mode transient: faster, and
// gone when the broker restarts. Default: persistent.
func Transient() Option { return func(c *config) { c.deliveryMode = 1 } }

// WithoutMessageIDs gives no message id to messages that have none. Without
// ids consumers cannot tell a message that was published again.
func WithoutMessageIDs() Option { return func(c *config) { c.messageIDs = false } }

// AtMostOnce publishes nothing twice: a message whose fate is not known when
// its channel dies ends as unknown, one that was not sent as not sent.
func AtMostOnce() Option { return func(c *config) { c.atMostOnce = true } }

// Window bounds the messages, and the bytes of their bodies, that have no
// outcome yet; sending then waits. A single larger message is let through
// alone. Defaults: [DefaultMaxMessages], [DefaultMaxBytes].
func Window(messages, bytes int) Option {
	return func(c *config) { c.maxMessages, c.maxBytes = messages, bytes }
}

// MaxAttempts bounds how often one message is sent; it then ends with its
// last verdict. Default: no bound, as with 0; a negative number is an error.
func MaxAttempts(n int) Option { return func(c *config) { c.maxAttempts = n } }

// ReturnGrace is how long after a reconnect a returned message, or one to an
// exchange that does not exist, is sent again instead: another node of the
// cluster may not know of the route yet. Each reconnect begins it again, so that a
// message that no queue takes has its result once a connection has lived so
// long. What the broker may deliver though it returned it is never sent again: see [MandatoryAuto],
// and messages to exchanges of types that are not RabbitMQ's own. Default: [DefaultReturnGrace]; 0 turns it off, a negative time is an error.
func ReturnGrace(d time.Duration) Option { return func(c *config) { c.returnGrace = d } }
