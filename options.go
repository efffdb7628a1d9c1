package warren

import (
	"context"
	"errors"
	"log/slog"

	"github.com/cenkalti/backoff/v4"
	"go.uber.org/zap"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/logging"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// Option configures a [Client]. A nil option, and one that is given nil, is as
// if it were left out. What cannot be meant is refused by [Dial] with a
// [*core.ValidationError].
type Option func(*options)

type options struct {
	urls     []string
	resolver recovery.Resolver
	connect  []func(*core.Config)
	recovery []func(*recovery.Config)
	listener []func(Event)
	log      *zap.Logger

	topology    Topology // recorded from the start
	recordMode  topology.RecordMode
	recordLimit int
}

func newOptions(opts []Option) *options {
	o := &options{log: zap.NewNop()}
	for _, opt := range opts {
		if opt != nil {
			opt(o)
		}
	}
	return o
}

// WithURLs adds further endpoints of the same cluster; the next one is tried
// when one fails.
func WithURLs(urls ...string) Option {
	return func(o *options) { o.urls = append(o.urls, urls...) }
}

// WithResolver has the endpoints asked for at each attempt, instead of using
// URLs: the URL given to [Dial] must then be empty. See [recovery.Resolver].
func WithResolver(r recovery.Resolver) Option { return func(o *options) { o.resolver = r } }

// WithName is the name of the client's connections as the broker shows it.
func WithName(name string) Option {
	return WithConnection(func(c *core.Config) { c.Name = name })
}

// WithTLS has every connection use TLS, as a URL with the scheme amqps does, by
// the configuration that source gives at each attempt, so that certificates can
// be renewed in place:
//
//	warren.WithTLS(core.TLSFiles{CA: "ca.pem", Cert: "client.pem", Key: "client.key"}.Load)
//	warren.WithTLS(core.FixedTLS(&tls.Config{RootCAs: pool}))
func WithTLS(source core.TLSSource) Option {
	return WithConnection(func(c *core.Config) {
		if source != nil { // else the URL's scheme stands
			c.TLS = source
		}
	})
}

// WithCredentials sets where credentials come from, in place of those in the
// URL: source is asked at each attempt to connect, and again, for other ones,
// when the broker refuses them or they are about to expire. The open connections
// are given those ([recovery.EventSecretRenewed]). Each connection of the client
// asks by itself. See [core.Login] for those that never change:
//
//	warren.WithCredentials(func(ctx context.Context, renew bool) (warren.Credentials, error) {
//		token, err := tokens.Get(ctx, renew)
//		return warren.Credentials{Password: core.Secret(token.Value), Expires: token.Expiry}, err
//	})
func WithCredentials(source core.CredentialSource) Option {
	return WithConnection(func(c *core.Config) {
		if source != nil { // else those in the URL stand
			c.Credentials = source
		}
	})
}

// WithConnection changes how each physical connection is opened: heartbeat,
// timeouts, limits, SASL mechanisms, dialer. See [core.Config].
func WithConnection(f func(*core.Config)) Option {
	return func(o *options) {
		if f != nil {
			o.connect = append(o.connect, f)
		}
	}
}

// WithRetry sets the policy of waits between attempts to connect. Default:
// [recovery.DefaultRetry].
func WithRetry(policy func() backoff.BackOff) Option {
	return WithRecovery(func(c *recovery.Config) { c.Retry = policy })
}

// WithInitialRetry has [Dial] go on trying until its context ends, also when
// no broker answers at first.
func WithInitialRetry() Option {
	return WithRecovery(func(c *recovery.Config) { c.InitialPasses = -1 })
}

// WithRecovery changes how logical connections are kept alive. See
// [recovery.Config]; Name, Resolver, Recorder, Log and Emit are the client's own.
func WithRecovery(f func(*recovery.Config)) Option {
	return func(o *options) {
		if f != nil {
			o.recovery = append(o.recovery, f)
		}
	}
}

// WithLogger sets the logger. Default: none. No secret is ever logged.
func WithLogger(log *zap.Logger) Option {
	return func(o *options) {
		if log != nil {
			o.log = log
		}
	}
}

// WithSlog is [WithLogger] for the standard library's logger.
func WithSlog(log *slog.Logger) Option {
	return func(o *options) {
		if log != nil {
			o.log = logging.FromSlog(log.Handler())
		}
	}
}

// WithListener has every event given to f, from the first on. See [Client.Listen].
func WithListener(f func(Event)) Option {
	return func(o *options) {
		if f != nil {
			o.listener = append(o.listener, f)
		}
	}
}

// endpoints returns the resolver that the options describe.
func (o *options) endpoints(url string) (recovery.Resolver, error) {
	if o.resolver != nil {
		if url != "" || len(o.urls) > 0 {
			return nil, &core.ValidationError{Method: "dial", Err: errors.New("give urls or a resolver, not both")}
		}
		return func(ctx context.Context) ([]core.Config, error) {
			list, err := o.resolver(ctx)
			return o.applied(list), err
		}, nil
	}
	var list []core.Config
	for _, u := range append([]string{url}, o.urls...) {
		cfg, err := core.ParseURL(u)
		if err != nil {
			return nil, err
		}
		list = append(list, cfg)
	}
	list = o.applied(list)
	for _, cfg := range list {
		if err := cfg.Validate(); err != nil {
			return nil, err
		}
	}
	return recovery.Endpoints(list...), nil
}

// applied returns a copy of list with the options applied.
func (o *options) applied(list []core.Config) []core.Config {
	out := make([]core.Config, len(list))
	for i, cfg := range list {
		for _, f := range o.connect {
			f(&cfg)
		}
		out[i] = cfg
	}
	return out
}
