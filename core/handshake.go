package core

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"runtime"
	"slices"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// maxSecureRounds bounds the SASL challenges of one handshake.
const maxSecureRounds = 8

// Tuned is what client and server agreed on.
type Tuned struct {
	ChannelMax uint16
	FrameMax   uint32
	Heartbeat  time.Duration // 0: none
}

// Server is what the server said of itself.
type Server struct {
	Properties wire.Table
	Mechanisms string // separated by spaces
	Locales    string // separated by spaces
}

// Release returns the release of RabbitMQ, such as 4 and 3; 0 and 0 for what
// does not say so.
func (s Server) Release() (major, minor int) {
	if s.Properties["product"] != "RabbitMQ" {
		return 0, 0
	}
	version, _ := s.Properties["version"].(string)
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return 0, 0
	}
	return major, minor
}

// handshake opens one connection, on the dialling goroutine.
// Rules: specification, chapter 2.2.4; RabbitMQ, "authentication_failure_close".
type handshake struct {
	nc     net.Conn
	cfg    Config
	tls    *tls.Config // nil: without
	frames *frames
	dec    wire.Decoder

	step     string // where it stands, for errors
	username string // of the credentials, for hints
	server   Server
	tuned    Tuned
}

func (h *handshake) run(ctx context.Context) error {
	h.step = "start"
	if _, err := io.WriteString(h.nc, wire.ProtocolHeader); err != nil {
		return err
	}
	start, err := expect[*wire.ConnectionStart](h)
	if err != nil {
		return err
	}
	h.server = Server{start.ServerProperties, start.Mechanisms, start.Locales}
	h.step = "auth"
	tune, err := h.authenticate(ctx)
	if err != nil {
		return err
	}
	h.step = "tune"
	h.tuned = negotiate(h.cfg, tune)
	h.frames.max = h.tuned.FrameMax
	err = h.send(&wire.ConnectionTuneOk{
		ChannelMax: h.tuned.ChannelMax, FrameMax: h.tuned.FrameMax, Heartbeat: uint16(h.tuned.Heartbeat / time.Second),
	})
	if err != nil {
		return err
	}
	h.step = "open"
	if err := h.send(&wire.ConnectionOpen{VirtualHost: h.cfg.VHost}); err != nil {
		return err
	}
	_, err = expect[*wire.ConnectionOpenOk](h)
	return err
}

// authenticate runs the SASL rounds up to the server's tune.
func (h *handshake) authenticate(ctx context.Context) (*wire.ConnectionTune, error) {
	mechanism, err := choose(h.mechanisms(), h.server.Mechanisms)
	if err != nil {
		return nil, err
	}
	credentials, err := h.cfg.Credentials(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	h.username = credentials.Username
	response, err := mechanism.Respond(0, nil, credentials)
	if err != nil {
		return nil, fmt.Errorf("sasl %s: %w", mechanism.Name(), err)
	}
	err = h.send(&wire.ConnectionStartOk{
		ClientProperties: h.properties(), Mechanism: mechanism.Name(), Response: response, Locale: h.cfg.Locale,
	})
	for round := 1; err == nil; round++ {
		var m wire.Method
		if m, err = h.receive(); err != nil {
			break
		}
		switch m := m.(type) {
		case *wire.ConnectionTune:
			return m, nil
		case *wire.ConnectionSecure:
			if round > maxSecureRounds {
				return nil, fmt.Errorf("sasl %s: more than %d challenges", mechanism.Name(), maxSecureRounds)
			}
			if response, err = mechanism.Respond(round, m.Challenge, credentials); err != nil {
				return nil, fmt.Errorf("sasl %s: %w", mechanism.Name(), err)
			}
			err = h.send(&wire.ConnectionSecureOk{Response: response})
		default:
			err = unexpected(m)
		}
	}
	return nil, err
}

// mechanisms are those to choose from: EXTERNAL means nothing without TLS.
func (h *handshake) mechanisms() []Mechanism {
	ours := h.cfg.Mechanisms
	if ours == nil {
		ours = defaultMechanisms(h.tls)
	}
	if _, secure := h.nc.(*tls.Conn); secure || h.tls != nil {
		return ours
	}
	return slices.DeleteFunc(slices.Clone(ours), func(m Mechanism) bool { return m.Name() == "EXTERNAL" })
}

// properties are the client properties: the built-in ones, then the caller's.
func (h *handshake) properties() wire.Table {
	t := wire.Table{
		"product":  "warren",
		"platform": "go " + runtime.Version(),
		"capabilities": wire.Table{
			"authentication_failure_close": true,
			"basic.nack":                   true,
			"connection.blocked":           true,
			"consumer_cancel_notify":       true,
			"exchange_exchange_bindings":   true,
			"publisher_confirms":           true,
		},
	}
	if h.cfg.Name != "" {
		t["connection_name"] = h.cfg.Name
	}
	maps.Copy(t, h.cfg.Properties.Clone())
	return t
}

func (h *handshake) send(m wire.Method) error {
	b, err := wire.AppendMethod(nil, 0, m)
	if err != nil {
		return err
	}
	if len(b) > int(h.frames.max) {
		return fmt.Errorf("%s of %d bytes is larger than the %d that the server accepts here: shorten client properties or token", m.ID(), len(b), h.frames.max)
	}
	_, err = h.nc.Write(b)
	return err
}

// receive returns the next method on channel 0; a close from the server is
// answered and becomes an error.
func (h *handshake) receive() (wire.Method, error) {
	for {
		f, err := h.frames.next()
		if err != nil {
			return nil, err
		}
		if f.Type == wire.FrameHeartbeat {
			continue
		}
		if f.Type != wire.FrameMethod || f.Channel != 0 {
			return nil, fault(ErrUnexpectedFrame, "frame before the connection is open")
		}
		m, err := h.dec.Method(f.Payload)
		if err != nil {
			return nil, err
		}
		if c, ok := m.(*wire.ConnectionClose); ok {
			_ = h.send(&wire.ConnectionCloseOk{}) // a courtesy: the error is c
			return nil, h.refused(c)
		}
		return m, nil
	}
}

// refused turns the server's close into an error: in the auth step, 403 means
// that the credentials are wrong.
func (h *handshake) refused(c *wire.ConnectionClose) error {
	err := serverClose(c)
	if h.step == "auth" && err.Code == ErrAccessRefused {
		return &reason{ErrAuth, err}
	}
	return err
}

func expect[M wire.Method](h *handshake) (M, error) {
	var none M
	m, err := h.receive()
	if err != nil {
		return none, err
	}
	if m, ok := m.(M); ok {
		return m, nil
	}
	return none, unexpected(m)
}

func unexpected(m wire.Method) error {
	return fault(ErrCommandInvalid, "unexpected %s", m.ID())
}

// negotiate takes the lower of both sides' limits, 0 meaning none
// (specification, connection.tune). The server's frame limit is raised to the
// protocol's minimum, so that no frame size underflows.
func negotiate(cfg Config, t *wire.ConnectionTune) Tuned {
	out := Tuned{ChannelMax: cfg.ChannelMax, FrameMax: cfg.FrameMax, Heartbeat: max(0, cfg.Heartbeat)}
	if t.ChannelMax != 0 {
		out.ChannelMax = min(out.ChannelMax, t.ChannelMax)
	}
	if t.FrameMax != 0 {
		out.FrameMax = max(wire.FrameMinSize, min(out.FrameMax, t.FrameMax))
	}
	if theirs := time.Duration(t.Heartbeat) * time.Second; theirs != 0 && cfg.Heartbeat > 0 {
		out.Heartbeat = min(out.Heartbeat, theirs)
	}
	return out
}
