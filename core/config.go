package core

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Config says how to open one connection. The zero value of a field means
// its default. A Config is copied by [Dial]; nothing in it is kept or changed.
type Config struct {
	Addr  string // host:port; default localhost:5672, or :5671 with TLS
	VHost string // default "/"

	// Credentials is asked at each dial, within its time. Default: guest, guest.
	Credentials CredentialSource
	// Mechanisms are the SASL mechanisms to use, most preferred first; the
	// first that the server offers too is taken. Default: EXTERNAL if TLS has
	// a client certificate, then PLAIN, then AMQPLAIN.
	Mechanisms []Mechanism
	// TLS makes it an amqps connection. It is asked at each dial, within its
	// time. Nil: no TLS.
	TLS TLSSource
	// RequireTLS refuses to dial without TLS any other host than this one.
	RequireTLS bool

	Name       string     // connection_name shown by the broker
	Properties wire.Table // further client properties; these win over the built-in ones
	Locale     string     // default en_US

	// Heartbeat is the interval asked for; the server's wish applies if it is
	// shorter. Whole seconds. Default 10 s; below 5 s a network or a process that
	// is only slow is taken for dead. Negative: none, if the server agrees.
	Heartbeat  time.Duration
	ChannelMax uint16 // most channels; default 2047
	FrameMax   uint32 // largest frame in bytes; default 131072, at least 8192 (RabbitMQ 4.1+)

	HandshakeTimeout time.Duration // dial, TLS and AMQP handshake together; default 10 s
	TLSTimeout       time.Duration // for the TLS handshake; default 5 s
	RPCTimeout       time.Duration // for an answer, once the request has left, or a large message ahead to move; default 15 s
	WriteTimeout     time.Duration // for the peer to take some bytes, unless it blocks; default 30 s
	CloseTimeout     time.Duration // for the answer to the closing, once that has left; default 5 s

	MaxBody       uint64 // largest body accepted from the server, the channel ends at a larger one unless [OnTooLarge] takes it; default 64 MiB
	MaxPublish    uint64 // largest body to publish, at most [MaxBody]; default 16 MiB, as RabbitMQ's since 4.0
	WriteBuffer   int    // bytes of publishes that wait to be written; default 256 KiB
	ConfirmWindow int    // unconfirmed publishes a channel; default 65536, which is the most
	MaxConsumers  int    // consumers a channel; default 1000

	TableDepth        int    // tables inside each other accepted from the server; default 32, at most [wire.DepthLimit]
	TableFields       int    // table fields in one frame accepted from the server; default 16384
	HandshakeFrameMax uint32 // largest frame accepted before the frame size is negotiated; default 8192

	// DialContext opens the socket; default net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// OnBlocked is told when the broker blocks (reason) and unblocks (blocked
	// false) the connection's publishes. It runs on the reader goroutine and
	// must not block.
	OnBlocked func(reason string, blocked bool)
}

// Credentials are what a SASL mechanism proves identity with. Their text
// forms never show the password.
type Credentials struct {
	Username string
	Password Secret    // or a token
	Expires  time.Time // when the server takes them no longer; zero: never
}

// CredentialSource gives the credentials for a login. renew is true when those
// that it gave last were refused or are about to expire: the answer must then
// not come from a cache, and later calls give no older one. [Dial] sets renew to
// false. A connection that recovers asks at each attempt, and renews on the open
// connection what expires, when four fifths of the time left are over. A source
// may be called by several goroutines at once, and must return when ctx ends,
// which is at the latest after ten seconds there.
type CredentialSource func(ctx context.Context, renew bool) (Credentials, error)

// Secret is a string that no fmt verb, encoder or logger prints.
type Secret string

// Format prints "[redacted]" for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// MarshalText returns "[redacted]".
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Login is the source of a user name and password that never change.
func Login(username, password string) CredentialSource {
	c := Credentials{Username: username, Password: Secret(password)}
	return func(context.Context, bool) (Credentials, error) { return c, nil }
}

// Defaults of [Config].
const (
	DefaultHeartbeat  = 10 * time.Second
	DefaultChannelMax = 2047
	DefaultFrameMax   = 131072

	maxConfirmWindow = 65536
	minFrameMax      = 8192
	maxFrameMax      = 64 << 20 // the read buffer grows to hold a frame
)

// Validate returns the [*ValidationError] that [Dial] would return.
func (c Config) Validate() error {
	if _, err := c.withDefaults(); err != nil {
		return &ValidationError{Method: "connect", Err: err}
	}
	return nil
}

// withDefaults returns a copy with every default filled in.
func (c Config) withDefaults() (Config, error) {
	set(&c.Addr, defaultAddr(c.TLS != nil))
	set(&c.VHost, "/")
	set(&c.Locale, "en_US")
	set(&c.Heartbeat, DefaultHeartbeat)
	set(&c.ChannelMax, DefaultChannelMax)
	set(&c.FrameMax, DefaultFrameMax)
	set(&c.HandshakeTimeout, 10*time.Second)
	set(&c.TLSTimeout, 5*time.Second)
	set(&c.RPCTimeout, 15*time.Second)
	set(&c.WriteTimeout, 30*time.Second)
	set(&c.CloseTimeout, 5*time.Second)
	set(&c.MaxBody, 64<<20)
	set(&c.MaxPublish, 16<<20)
	set(&c.WriteBuffer, 256<<10)
	set(&c.ConfirmWindow, maxConfirmWindow)
	set(&c.MaxConsumers, 1000)
	set(&c.TableDepth, 32)
	set(&c.TableFields, 16384)
	set(&c.HandshakeFrameMax, minFrameMax)
	if c.Credentials == nil {
		c.Credentials = Login("guest", "guest")
	}
	if c.DialContext == nil {
		c.DialContext = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	if err := c.validate(); err != nil { // before the copy, which does not end for a table inside itself
		return c, err
	}
	c.Properties = c.Properties.Clone()
	return c, nil
}

func (c *Config) validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("address %q: want host:port: %w", c.Addr, err)
	}
	if err := wire.ValidateShortstr("vhost", c.VHost); err != nil {
		return err
	}
	if err := wire.ValidateTable(c.Properties); err != nil {
		return fmt.Errorf("client properties: %w", err)
	}
	if c.FrameMax < minFrameMax || c.FrameMax > maxFrameMax {
		return fmt.Errorf("frame max %d: want %d (RabbitMQ's least) to %d", c.FrameMax, minFrameMax, maxFrameMax)
	}
	if c.HandshakeFrameMax < wire.FrameMinSize || c.HandshakeFrameMax > maxFrameMax {
		return fmt.Errorf("handshake frame max %d: want %d to %d", c.HandshakeFrameMax, wire.FrameMinSize, maxFrameMax)
	}
	if c.MaxPublish > MaxBody {
		return fmt.Errorf("max publish %d: RabbitMQ takes at most %d", c.MaxPublish, MaxBody)
	}
	if c.RequireTLS && c.TLS == nil && !onThisHost(c.Addr) {
		return fmt.Errorf("address %q: TLS is required, and not configured", c.Addr)
	}
	if err := c.validateBounds(); err != nil {
		return err
	}
	if c.Heartbeat > 0 && (c.Heartbeat%time.Second != 0 || c.Heartbeat/time.Second > math.MaxUint16) {
		return errors.New("heartbeat must be whole seconds, at most 65535 of them")
	}
	return nil
}

// validateBounds refuses what cannot be meant: only Heartbeat knows negative values.
func (c *Config) validateBounds() error {
	if c.ConfirmWindow > maxConfirmWindow {
		return fmt.Errorf("confirm window %d: want at most %d", c.ConfirmWindow, maxConfirmWindow)
	}
	if c.TableDepth > wire.DepthLimit {
		return fmt.Errorf("table depth %d: want at most %d", c.TableDepth, wire.DepthLimit)
	}
	for name, n := range map[string]int64{
		"handshake timeout": int64(c.HandshakeTimeout), "tls timeout": int64(c.TLSTimeout), "rpc timeout": int64(c.RPCTimeout),
		"write timeout": int64(c.WriteTimeout), "close timeout": int64(c.CloseTimeout), "write buffer": int64(c.WriteBuffer),
		"confirm window": int64(c.ConfirmWindow), "max consumers": int64(c.MaxConsumers), "table depth": int64(c.TableDepth),
		"table fields": int64(c.TableFields),
	} {
		if n < 0 {
			return fmt.Errorf("%s is negative", name)
		}
	}
	return nil
}

func defaultAddr(tls bool) string {
	if tls {
		return "localhost:5671"
	}
	return "localhost:5672"
}

// set gives *p its default if it has the zero value.
func set[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}
