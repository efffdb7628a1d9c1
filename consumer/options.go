package consumer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
)

// Option configures a [Consumer].
type Option func(*config)

type config struct {
	name        string
	tag         string
	prefetch    int
	sized       bool // prefetch was given
	workers     int
	autoAck     bool
	exclusive   bool
	args        core.Table
	stream      bool
	from        any // where in the stream to begin
	stopTimeout time.Duration
	timeout     time.Duration
	warnAfter   time.Duration
	minPause    time.Duration
	rejectLarge bool
	maxPause    time.Duration
}

// Defaults of the options.
const (
	DefaultPrefetch    = 100
	SmallPrefetch      = 20 // where every return counts as a delivery, or twice the workers if that is more
	DefaultStopTimeout = 20 * time.Second
	DefaultMinPause    = 100 * time.Millisecond
	DefaultMaxPause    = 10 * time.Second
)

func newConfig(queue string, opts []Option) (config, error) {
	c := config{
		workers: 1, stopTimeout: DefaultStopTimeout,
		minPause: DefaultMinPause, maxPause: DefaultMaxPause,
	}
	for i, opt := range opts {
		if opt == nil {
			return c, fmt.Errorf("option %d is nil", i+1)
		}
		opt(&c)
	}
	if c.name == "" {
		c.name = fmt.Sprintf("consumer of queue %q", queue)
	}
	if c.tag == "" {
		c.tag = "warren-" + rand.Text()[:12]
	}
	var err error
	switch {
	case queue == "":
		err = errors.New("the name of the queue is missing")
	case c.sized && (c.prefetch < 1 || c.prefetch > math.MaxUint16):
		err = fmt.Errorf("prefetch %d: want 1 to %d", c.prefetch, math.MaxUint16)
	case c.workers < 1:
		err = fmt.Errorf("%d workers: want at least 1", c.workers)
	case c.minPause <= 0 || c.maxPause < c.minPause:
		err = fmt.Errorf("requeue pause from %s to %s: want 0 < first ≤ second", c.minPause, c.maxPause)
	}
	err = errors.Join(err, c.beginning())
	return c, errors.Join(err,
		wire.ValidateShortstr("queue", queue), wire.ValidateShortstr("consumer tag", c.tag), wire.ValidateTable(c.args))
}

// Name names the consumer in events, states and logs.
func Name(name string) Option { return func(c *config) { c.name = name } }

// Tag is the consumer tag, the same after every recovery. Default: a random one.
func Tag(tag string) Option { return func(c *config) { c.tag = tag } }

// Prefetch bounds the deliveries that the broker sends ahead of their acks, at
// most 65535. Default: [DefaultPrefetch]; where RabbitMQ counts whatever is given back as a
// failed delivery (before 4.3, unless the queue was declared by this client as a classic one)
// [SmallPrefetch], or two for each worker if that is more.
//
// Messages whose handler has failed occupy it until they are tried again. When more than
// half is occupied by them, further consumers, up to nine, with the same prefetch and tags that
// end in a number are added on the same channel while it lasts, so that messages behind the failing ones get through.
// With a prefetch of 1 none are: a message that fails holds up those behind it, and the order is
// kept. Nor are there any with [Exclusive], or in a queue declared here with a single active consumer.
func Prefetch(n int) Option { return func(c *config) { c.prefetch, c.sized = n, true } }

// Workers is how many handlers run at once. Default 1, which keeps the
// queue's order but for messages that fail: others pass them, unless [Prefetch] is 1. Give it a
// prefetch of at least as many: fewer are told as a [recovery.EventWarning].
func Workers(n int) Option { return func(c *config) { c.workers = n } }

// AutoAck has the broker forget each message as it sends it: at most once. The
// results of handlers then mean nothing. What has arrived when the consumer
// stops is handled within [StopTimeout], or lost. Deliveries that wait are bounded at
// [core.DefaultConsumerBytes]; beyond, the consumer pauses by cancelling.
func AutoAck() Option { return func(c *config) { c.autoAck = true } }

// Exclusive refuses other consumers of the queue. Quorum queues ignore it: use
// a single active consumer there.
func Exclusive() Option { return func(c *config) { c.exclusive = true } }

// Arguments are further arguments of basic.consume, such as x-priority. With
// x-stream-offset it is [FromOffset] too, which wins if both are given.
func Arguments(t core.Table) Option {
	return func(c *config) { c.args = t.Clone() }
}

// StopTimeout is how long handlers may go on when the consumer stops; their
// contexts end then. Default: [DefaultStopTimeout], which fits into the 30 s that Kubernetes grants.
// Where giving back counts as a failed delivery, see [Prefetch], what the consumer holds is
// still begun in the first half of it; elsewhere it goes back at once. A context of [Consumer.Stop] that ends earlier shortens it.
func StopTimeout(d time.Duration) Option { return func(c *config) { c.stopTimeout = d } }

// Timeout bounds one call of the handler: its context ends then. Default: none.
func Timeout(d time.Duration) Option { return func(c *config) { c.timeout = d } }

// WarnAfter reports an event [recovery.EventHandlerSlow] for each delivery that its
// handler has not settled so long after it came, the time in the prefetch
// included: at once if it comes to the handler that late. RabbitMQ takes
// deliveries away that are not acked within its consumer timeout (30 minutes,
// unless configured otherwise), so be warned well before. Default: no warning.
func WarnAfter(d time.Duration) Option { return func(c *config) { c.warnAfter = d } }

// RequeuePause is how long a message waits after its handler has failed until it
// is tried again: from first, doubling with every failure of this message that is known of, to limit;
// less up to an eighth by chance. No worker waits with it. The attempts at messages
// that have failed come to at most a hundred a second.
// Defaults: [DefaultMinPause], [DefaultMaxPause].
func RequeuePause(first, limit time.Duration) Option {
	return func(c *config) { c.minPause, c.maxPause = first, limit }
}

// RejectTooLarge rejects messages above [core.Config].MaxBody unread: they go to
// the dead-letter exchange if the queue has one, and are gone if not.
//
// By default such a message is held, unread and unsettled, so that nothing is
// lost: it takes a place of the [Prefetch], the others are handled, and the state
// is degraded until the channel ends. Then it is delivered again, to whichever consumer
// comes first. Held messages that fill the prefetch stop the consumer: with a
// prefetch of 1 the first one does.
//
// Either way its body is skipped as it arrives, and an event [recovery.EventTooLarge]
// tells. One of a stream is skipped, and stays there; with [AutoAck] it is lost, and
// counts as [Stats.Dropped].
func RejectTooLarge() Option { return func(c *config) { c.rejectLarge = true } }
