package brokertest

import (
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/script"
)

// rawClient is one connection to a broker that does nothing by itself: the test says each frame, and
// everything that comes is kept as text.
type rawClient struct {
	conn   net.Conn
	done   chan struct{} // closed when the reader has ended
	corked bool          // what is written is held
	held   []byte

	mu       sync.Mutex // guards received and changed
	received []received
	changed  chan struct{} // closed and replaced when received grows
}

// received is a method that came in, or the end of the connection.
type received struct {
	channel uint16
	method  wire.Method // nil: the connection has ended, or text says what came
	content *script.Content
	text    string
}

func newRawClient(conn net.Conn) *rawClient {
	c := &rawClient{conn: conn, done: make(chan struct{}), changed: make(chan struct{})}
	go c.runReader()
	return c
}

func (c *rawClient) close() {
	_ = c.conn.Close()
	<-c.done
}

func (c *rawClient) write(b []byte) error {
	if c.corked {
		c.held = append(c.held, b...)
		return nil
	}
	_, err := c.conn.Write(b)
	return err
}

// uncork writes what was held, in one piece.
func (c *rawClient) uncork() error {
	b := c.held
	c.corked, c.held = false, nil
	return c.write(b)
}

func (c *rawClient) send(channel uint16, m wire.Method, content *script.Content) error {
	b, err := wire.AppendMethod(nil, channel, m)
	if err != nil {
		return err
	}
	if content != nil {
		b, err = wire.AppendHeader(b, channel, wire.ClassBasic, uint64(len(content.Body)), &content.Properties)
		if err != nil {
			return err
		}
		b = wire.AppendBody(b, channel, content.Body, 131072)
	}
	return c.write(b)
}

// take returns what came since the last call, and a channel that is closed when more comes.
func (c *rawClient) take() ([]received, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.received
	c.received = nil
	return r, c.changed
}

func (c *rawClient) add(r received) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received = append(c.received, r)
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *rawClient) runReader() {
	defer close(c.done)
	var in rawReader
	buf := make([]byte, 1<<16)
	for {
		n, err := c.conn.Read(buf)
		for _, r := range in.feed(buf[:n]) {
			c.add(r)
		}
		if err != nil || in.err != nil {
			c.add(received{text: endText(errors.Join(in.err))})
			return
		}
	}
}

func endText(err error) string {
	if err != nil {
		return err.Error()
	}
	return "end"
}

// rawReader turns bytes into methods with their content.
type rawReader struct {
	buf     []byte
	decoder wire.Decoder
	partial map[uint16]*partialContent
	err     error
}

type partialContent struct {
	received
	left uint64
}

func (in *rawReader) feed(b []byte) (out []received) {
	in.buf = append(in.buf, b...)
	for in.err == nil {
		f, n, err := wire.ParseFrame(in.buf, 0)
		if _, ok := errs.AsType[*wire.ProtocolHeaderError](err); ok {
			out = append(out, received{text: "header " + script.FormatValue(string(in.buf[4:8]))})
			in.buf = in.buf[8:]
			continue
		}
		if in.err = err; err != nil || n == 0 {
			break
		}
		if r, ok := in.frame(f); ok {
			out = append(out, r)
		}
		in.buf = in.buf[n:]
	}
	return out
}

func (in *rawReader) frame(f wire.Frame) (received, bool) {
	if in.partial == nil {
		in.partial = map[uint16]*partialContent{}
	}
	p := in.partial[f.Channel]
	switch f.Type {
	case wire.FrameHeartbeat:
		return received{text: "heartbeat"}, true
	case wire.FrameMethod:
		m, err := in.decoder.Method(f.Payload)
		if err != nil {
			in.err = err
			return received{}, false
		}
		p = &partialContent{received: received{channel: f.Channel, method: m}}
		if !wire.HasContent(m.ID()) {
			return p.received, true
		}
		in.partial[f.Channel] = p
		return received{}, false
	case wire.FrameHeader:
		h, err := in.decoder.Header(f.Payload)
		if err == nil {
			p.content = &script.Content{}
			p.content.Properties, err = wire.DecodeProperties(h.Properties)
		}
		p.left, in.err = h.BodySize, err
	case wire.FrameBody:
		p.content.Body = append(p.content.Body, slices.Clone(f.Payload)...)
		p.left -= uint64(len(f.Payload))
	}
	return p.received, p.left == 0
}
