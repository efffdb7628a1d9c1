package warren

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/warren-mq/warren/channel"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// Client is a logical connection to RabbitMQ. It outlives any number of
// physical ones; all its methods are safe for concurrent use.
//
// It keeps two of them, opened when first needed: one to publish, one for
// everything else, so that a broker that stops reading publishers (a memory or
// disk alarm) never holds up an ack.
type Client struct {
	recorder *record.Recorder
	main     *session.Connection
	publish  *session.Connection
	events   *session.Dispatcher
	log      *zap.Logger

	mu         sync.Mutex // guards the following
	closed     bool
	publishers []*publisher.Publisher
	consumers  []*consumer.Consumer
}

// New returns a client of the broker at url, and has it connect in the
// background, for a program that is to start while the broker is down. It fails
// for what no connection is needed to know, with a [*core.ValidationError].
//
// Until the first connection is open everything is as in an outage: the client
// tries without end, [Client.State] and [Client.Health] tell with what result,
// and so does the event [recovery.EventRetrying]; messages are kept, and what needs
// the broker waits within its context, whose end then carries the error of the
// last attempt. See [Dial].
func New(url string, opts ...Option) (*Client, error) {
	c, err := newClient(url, opts, func(cfg *session.Config) { cfg.InitialPasses = -1 })
	if err != nil {
		return nil, err
	}
	c.main.Start()
	return c, nil
}

// Dial connects to the broker at url, "amqp://user:password@host:port/vhost"
// (see [core.ParseURL]), and waits until a connection is open. From then on
// the client recovers by itself, without end, until it is closed.
//
// It fails when every endpoint has failed once (unless [WithInitialRetry]), when
// one has refused the credentials or the vhost, which are those of the cluster, or
// when ctx ends. Errors: [*core.ValidationError] for the URL or the options,
// [*core.DialError] with what went wrong, for example [core.ErrAuth], also when
// ctx ends.
func Dial(ctx context.Context, url string, opts ...Option) (*Client, error) {
	c, err := newClient(url, opts, func(*session.Config) {})
	if err != nil {
		return nil, err
	}
	if err := c.main.Connect(ctx); err != nil {
		c.abandon()
		return nil, err
	}
	return c, nil
}

// newClient returns a client that is not connected.
func newClient(url string, opts []Option, main func(*session.Config)) (*Client, error) {
	o := newOptions(opts)
	resolver, err := o.endpoints(url)
	if err != nil {
		return nil, err
	}
	recorder, err := o.newRecorder()
	if err != nil {
		return nil, err
	}
	c := &Client{recorder: recorder, events: session.NewDispatcher(0), log: o.log}
	for _, f := range o.listener {
		c.events.Listen(f)
	}
	cfg := c.connection(o, resolver, "main")
	cfg.Recorder, cfg.Emit = c.recorder, c.emitter(&c.publish)
	main(&cfg)
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c.main = session.New(cfg)
	cfg = c.connection(o, resolver, "publish")
	cfg.InitialPasses = -1 // it is opened late: a broker that is down then is an outage like any other
	cfg.Gate, cfg.Emit = c.topologyReady, c.emitter(&c.main)
	c.publish = session.New(cfg)
	c.warn(o.topology.Warnings())
	return c, nil
}

func (c *Client) connection(o *options, r recovery.Resolver, name string) session.Config {
	cfg := session.Config{}
	for _, f := range o.recovery {
		f(&cfg.Config)
	}
	cfg.Name, cfg.Resolver, cfg.Log = name, r, o.log
	return cfg
}

// emitter returns what receives the events of a connection. Where one has found
// the broker, the other need not wait.
func (c *Client) emitter(other **session.Connection) func(Event) {
	return func(e Event) {
		c.events.Emit(e)
		if e.Kind == recovery.EventOpened {
			(*other).Found(e.Endpoint)
		}
	}
}

// topologyReady holds publishers back until what they publish to is known to be
// on the broker that they have reached. That the main connection seems to live
// does not say so. It never will once that is closed, which is the error.
func (c *Client) topologyReady(ctx context.Context) error {
	if c.recorder.Len() == 0 {
		return nil
	}
	return c.main.Verify(ctx)
}

// abandonTimeout bounds the end of a client that did not connect: a dial that
// is under way is broken off, and little else can be open.
const abandonTimeout = time.Second

// abandon ends a client that did not connect.
func (c *Client) abandon() {
	ctx, cancel := context.WithTimeoutCause(context.Background(), abandonTimeout, core.ErrTimeout)
	defer cancel()
	_ = c.Close(ctx) // the reason to give up counts
}

// Channel opens an imperative AMQP channel, with every method of the protocol.
// It is opened again after a loss, and what is declared on it is recorded like
// that of [Client.Declare]. Close it; the client closes it too.
func (c *Client) Channel(ctx context.Context) (*Channel, error) { return channel.Open(ctx, c.main) }

// Publisher returns a publisher. It belongs to the client: it is closed with
// it, or earlier by its own Close. The error is about the options.
func (c *Client) Publisher(opts ...publisher.Option) (*publisher.Publisher, error) {
	p, err := publisher.New(c.publish, opts...)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, core.ErrClosed
	}
	c.publishers = pruned(c.publishers, (*publisher.Publisher).Done)
	c.publishers = append(c.publishers, p)
	return p, nil
}

// Consumer returns a consumer of queue, to be started with Start, Run or All:
// until it is subscribed the client is not ready. It belongs to the client: it
// is stopped with it. The error is about the options.
func (c *Client) Consumer(queue string, opts ...consumer.Option) (*consumer.Consumer, error) {
	cons, err := consumer.New(c.main, queue, opts...)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, core.ErrClosed
	}
	c.consumers = pruned(c.consumers, (*consumer.Consumer).Done)
	c.consumers = append(c.consumers, cons)
	return cons, nil
}

// Consume consumes queue with handle until ctx ends; it is
// [consumer.Consumer.Run] on a new consumer. Its error is not to be lost: a
// queue that does not exist is told here. A program that goes on meanwhile
// uses [Client.Consumer] and [consumer.Consumer.Start].
func (c *Client) Consume(ctx context.Context, queue string, handle Handler, opts ...consumer.Option) error {
	cons, err := c.Consumer(queue, opts...)
	if err != nil {
		return err
	}
	err = cons.Run(ctx, handle)
	if handle == nil {
		_ = cons.Stop(ctx) // it was refused before it began
	}
	return err
}

// pruned drops what has ended, so that a client's lists do not grow.
func pruned[T any](list []T, done func(T) <-chan struct{}) []T {
	kept := list[:0]
	for _, x := range list {
		select {
		case <-done(x):
		default:
			kept = append(kept, x)
		}
	}
	clear(list[len(kept):])
	return kept
}
