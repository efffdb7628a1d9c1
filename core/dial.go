package core

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Dial opens a connection: socket, TLS where configured, AMQP handshake. It
// returns when the connection is open, or with a [*DialError] when it is not,
// within ctx and [Config.HandshakeTimeout].
//
// The connection lives until [Conn.Close], or until it fails; it never
// reconnects by itself.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, &ValidationError{Method: "connect", Err: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.HandshakeTimeout, ErrTimeout)
	defer cancel()
	secure, err := cfg.TLS.load(ctx)
	if err != nil {
		return nil, &DialError{Addr: cfg.Addr, Step: "tls", Err: causeOf(ctx, err)}
	}
	nc, err := cfg.DialContext(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, &DialError{Addr: cfg.Addr, Step: "dial", Err: causeOf(ctx, err)}
	}
	if secure != nil {
		if nc, err = startTLS(ctx, nc, cfg, secure); err != nil {
			return nil, &DialError{Addr: cfg.Addr, Step: "tls", Hint: tlsHint(err), Err: err}
		}
	}
	return open(ctx, nc, cfg, secure)
}

// Open runs the AMQP handshake on a socket that the caller opened, and owns
// the socket from then on, also when it fails. See [Dial].
func Open(ctx context.Context, nc net.Conn, cfg Config) (*Conn, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		_ = nc.Close()
		return nil, &ValidationError{Method: "connect", Err: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.HandshakeTimeout, ErrTimeout)
	defer cancel()
	secure, err := cfg.TLS.load(ctx) // for its client certificate
	if err != nil {
		_ = nc.Close()
		return nil, &DialError{Addr: cfg.Addr, Step: "tls", Err: causeOf(ctx, err)}
	}
	return open(ctx, nc, cfg, secure)
}

// open runs the handshake and starts the connection's two goroutines. The
// handshake blocks in the socket, so the end of ctx is passed on as a
// deadline in the past.
func open(ctx context.Context, nc net.Conn, cfg Config, secure *tls.Config) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	h := &handshake{nc: nc, cfg: cfg, tls: secure, frames: newFrames(nc, cfg.HandshakeFrameMax)}
	h.dec = wire.Decoder{MaxDepth: cfg.TableDepth, MaxFields: cfg.TableFields}
	err := h.run(ctx)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = nc.Close()
		return nil, &DialError{Addr: cfg.Addr, Step: h.step, Hint: h.hint(err, h.frames.unread()), Err: causeOf(ctx, protocolError(err))}
	}
	c := newConn(nc, h)
	go c.runWriter()
	go c.runReader()
	return c, nil
}

// causeOf says why ctx ended instead of the network error that this led to.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
