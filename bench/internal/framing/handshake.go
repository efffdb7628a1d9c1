package framing

import (
	"fmt"
	"io"
	"net"

	"github.com/warren-mq/warren/core/wire"
)

// Dial opens a connection as guest and channel 1 on it.
func Dial(addr string) (net.Conn, *Reader, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	r := NewReader(nc)
	if err := open(nc, r); err != nil {
		_ = nc.Close()
		return nil, nil, fmt.Errorf("handshake with %s: %w", addr, err)
	}
	return nc, r, nil
}

func open(nc net.Conn, r *Reader) error {
	if _, err := io.WriteString(nc, wire.ProtocolHeader); err != nil {
		return err
	}
	if _, err := r.Method(0); err != nil {
		return err
	}
	start := &wire.ConnectionStartOk{
		Mechanism: "PLAIN", Response: wire.Secret("\x00guest\x00guest"), Locale: "en_US",
		ClientProperties: wire.Table{"capabilities": wire.Table{"basic.nack": true, "publisher_confirms": true}},
	}
	if _, err := Call(nc, r, 0, start); err != nil {
		return err
	}
	if err := Send(nc, 0, &wire.ConnectionTuneOk{ChannelMax: ChannelMax, FrameMax: FrameMax}); err != nil {
		return err
	}
	if _, err := Call(nc, r, 0, &wire.ConnectionOpen{VirtualHost: "/"}); err != nil {
		return err
	}
	_, err := Call(nc, r, 1, &wire.ChannelOpen{})
	return err
}

// Send writes one method.
func Send(w io.Writer, channel uint16, m wire.Method) error {
	b, err := wire.AppendMethod(nil, channel, m)
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}

// Call writes one method and reads what answers it.
func Call(w io.Writer, r *Reader, channel uint16, m wire.Method) (wire.Method, error) {
	if err := Send(w, channel, m); err != nil {
		return nil, err
	}
	reply, err := r.Method(channel)
	if err != nil {
		return nil, err
	}
	if c, ok := reply.(*wire.ChannelClose); ok {
		return nil, fmt.Errorf("%s refused: %s", m.ID(), c.ReplyText)
	}
	return reply, nil
}
