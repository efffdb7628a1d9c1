package core

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
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
	nc, err := cfg.DialContext(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, &DialError{Addr: cfg.Addr, Step: "dial", Err: causeOf(ctx, err)}
	}
	if cfg.TLS != nil {
		if nc, err = startTLS(ctx, nc, cfg); err != nil {
			return nil, &DialError{Addr: cfg.Addr, Step: "tls", Hint: tlsHint(err), Err: causeOf(ctx, err)}
		}
	}
	return open(ctx, nc, cfg)
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
	return open(ctx, nc, cfg)
}

// open runs the handshake and starts the connection's two goroutines. The
// handshake blocks in the socket, so the end of ctx is passed on as a
// deadline in the past.
func open(ctx context.Context, nc net.Conn, cfg Config) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	h := &handshake{nc: nc, cfg: cfg, frames: newFrames(nc, minFrameMax)}
	err := h.run(ctx)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = nc.Close()
		return nil, &DialError{Addr: cfg.Addr, Step: h.step, Hint: h.hint(err), Err: causeOf(ctx, err)}
	}
	c := newConn(nc, h)
	go c.runWriter()
	go c.runReader()
	return c, nil
}

// startTLS wraps nc. The caller's configuration is cloned, verification is
// against the host that was dialled, and there is no fallback to plain text.
func startTLS(ctx context.Context, nc net.Conn, cfg Config) (net.Conn, error) {
	t := cfg.TLS.Clone()
	if t.ServerName == "" {
		t.ServerName, _, _ = net.SplitHostPort(cfg.Addr) // checked by validate
	}
	if t.MinVersion == 0 {
		t.MinVersion = tls.VersionTLS12
	}
	tc := tls.Client(nc, t)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return tc, nil
}

func tlsHint(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS on this port; the TLS port is usually 5671"
	}
	return ""
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
