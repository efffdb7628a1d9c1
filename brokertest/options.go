package brokertest

import (
	"crypto/tls"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Option changes how a broker behaves.
type Option func(*config)

// config is what options set; it does not change afterwards.
type config struct {
	users           map[string]*user
	vhosts          []string
	heartbeat       time.Duration
	channelMax      uint16
	frameMax        uint32
	maxMessage      uint64 // 0: the version's
	consumerTimeout time.Duration
	version         string
	release         release // of version
	delays          bool
	seed            uint64
	transcribe      bool
	tls             *tls.Config // nil: of a certificate of its own
}

func defaults() config {
	return config{
		users:           map[string]*user{"guest": newUser("guest", "guest")},
		vhosts:          []string{"/"},
		heartbeat:       60 * time.Second,
		channelMax:      2047,
		frameMax:        131072,
		consumerTimeout: 30 * time.Minute,
		version:         "4.3.0",
		release:         release{4, 3},
	}
}

// WithUser adds a user who may do everything. There is always a user guest with the password guest.
func WithUser(name, password string) Option {
	return func(c *config) { c.users[name] = newUser(name, password) }
}

// WithVHost adds a virtual host. There is always the virtual host "/".
func WithVHost(name string) Option {
	return func(c *config) { c.vhosts = append(c.vhosts, name) }
}

// WithHeartbeat sets the heartbeat interval that the broker proposes, in whole seconds; 0 is none. Default
// 60 s.
func WithHeartbeat(d time.Duration) Option {
	return func(c *config) { c.heartbeat = d }
}

// WithChannelMax sets how many channels a connection may have. Default 2047.
func WithChannelMax(n uint16) Option {
	return func(c *config) { c.channelMax = n }
}

// WithFrameMax sets the largest frame in octets, at least 4096. Default 131072.
func WithFrameMax(n uint32) Option {
	return func(c *config) { c.frameMax = max(n, 4096) }
}

// WithMaxMessage sets the largest body of a message in octets. Default 0, which is 16 MiB, and 128 MiB before
// RabbitMQ 4.0.
func WithMaxMessage(octets uint64) Option {
	return func(c *config) { c.maxMessage = octets }
}

// WithConsumerTimeout sets how long a delivery may stay unacknowledged; a queue or a consumer may say
// otherwise by the argument x-consumer-timeout. Default 30 minutes, 0 is for ever.
func WithConsumerTimeout(d time.Duration) Option {
	return func(c *config) { c.consumerTimeout = d }
}

// WithVersion has the broker behave as another version of RabbitMQ where the difference is one that clients
// are likely to meet: "3.10", "4.0" or "4.3", the default.
func WithVersion(version string) Option {
	return func(c *config) { c.version, c.release = version, releaseOf(version) }
}

// WithDelayedExchanges has exchanges of the type x-delayed-message, as the plugin rabbitmq_delayed_message_exchange
// does: a message with the header x-delay is routed after so many milliseconds. Until then it counts as routed
// nowhere, so that a mandatory one is returned, and delivered later all the same.
func WithDelayedExchanges() Option {
	return func(c *config) { c.delays = true }
}

// largestMessage is the limit of the body of a message.
func (c *config) largestMessage() uint64 {
	switch {
	case c.maxMessage != 0:
		return c.maxMessage
	case c.before40():
		return 128 << 20
	}
	return 16 << 20
}

// leastFrameMax is what a client has to accept: more than the least that AMQP knows since RabbitMQ 4.1.
func (c *config) leastFrameMax() uint32 {
	if c.release.before(4, 1) {
		return wire.FrameMinSize
	}
	return 8192
}

// WithSeed makes the names that the broker makes up, and whatever else is left to chance, the same in every
// run. Default 0.
func WithSeed(seed uint64) Option {
	return func(c *config) { c.seed = seed }
}
