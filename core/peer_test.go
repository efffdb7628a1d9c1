package core

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/memnet"
)

// peer is the server's side of a connection, played by a test step by step.
// Its methods fail the test where the client does something else.
type peer struct {
	t   *testing.T
	nc  *memnet.Conn
	dec wire.Decoder
	buf []byte
}

// bubble runs f in fake time. It fails if a goroutine is left behind.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// newPeer returns a peer and the socket that the client is to open.
func newPeer(t *testing.T) (*peer, *memnet.Conn) {
	client, server := memnet.Pipe()
	p := &peer{t: t, nc: server}
	t.Cleanup(func() { _ = server.Close() })
	return p, client
}

// frame returns the next frame that is no heartbeat.
func (p *peer) frame() wire.Frame {
	p.t.Helper()
	for {
		if f := p.anyFrame(); f.Type != wire.FrameHeartbeat {
			return f
		}
	}
}

// anyFrame returns the next frame. Its payload is the caller's.
func (p *peer) anyFrame() wire.Frame {
	p.t.Helper()
	f, err := p.readFrame(time.Minute)
	if err != nil {
		p.t.Fatalf("peer: reading a frame: %v", err)
	}
	return f
}

func (p *peer) readFrame(limit time.Duration) (wire.Frame, error) {
	chunk := make([]byte, 64<<10)
	for {
		f, n, err := wire.ParseFrame(p.buf, 0)
		if err != nil {
			return f, err
		}
		if n > 0 {
			f.Payload = append([]byte(nil), f.Payload...)
			p.buf = p.buf[n:]
			return f, nil
		}
		_ = p.nc.SetReadDeadline(time.Now().Add(limit))
		n, err = p.nc.Read(chunk)
		if p.buf = append(p.buf, chunk[:n]...); n == 0 && err != nil {
			return f, err
		}
	}
}

// method returns the next frame, which must be a method on channel ch.
func (p *peer) method(ch uint16) wire.Method {
	p.t.Helper()
	f := p.frame()
	if f.Type != wire.FrameMethod || f.Channel != ch {
		m, _ := p.dec.Method(f.Payload)
		p.t.Fatalf("peer: frame of type %d on channel %d (%+v), want a method on %d", f.Type, f.Channel, m, ch)
	}
	m, err := p.dec.Method(f.Payload)
	if err != nil {
		p.t.Fatalf("peer: %v", err)
	}
	return m
}

// want returns the next frame, which must be the method M on channel ch.
func want[M wire.Method](p *peer, ch uint16) M {
	p.t.Helper()
	m := p.method(ch)
	if m, ok := m.(M); ok {
		return m
	}
	var none M
	p.t.Fatalf("peer: %s, want %T", m.ID(), none)
	return none
}

// content is a message as the client sent it.
type content struct {
	publish wire.BasicPublish
	props   wire.Properties
	body    []byte
	frames  int // body frames
}

// content returns the next publish on channel ch, whose frames must follow
// each other without another frame of that channel in between.
func (p *peer) content(ch uint16) content {
	p.t.Helper()
	c := content{publish: *want[*wire.BasicPublish](p, ch)}
	f := p.frame()
	h, err := p.dec.Header(f.Payload)
	if f.Type != wire.FrameHeader || f.Channel != ch || err != nil {
		p.t.Fatalf("peer: frame of type %d on channel %d instead of a header: %v", f.Type, f.Channel, err)
	}
	if c.props, err = wire.DecodeProperties(h.Properties); err != nil {
		p.t.Fatal(err)
	}
	for uint64(len(c.body)) < h.BodySize {
		if f = p.frame(); f.Type != wire.FrameBody || f.Channel != ch {
			p.t.Fatalf("peer: frame of type %d on channel %d inside a content", f.Type, f.Channel)
		}
		c.frames++
		c.body = append(c.body, f.Payload...)
	}
	return c
}

// quiet fails if the client sends anything but heartbeats once all wait.
func (p *peer) quiet() {
	p.t.Helper()
	for {
		f, err := p.readFrame(time.Nanosecond)
		if err != nil {
			return
		}
		if f.Type != wire.FrameHeartbeat {
			m, _ := p.dec.Method(f.Payload)
			p.t.Fatalf("peer: unexpected frame of type %d on channel %d: %T", f.Type, f.Channel, m)
		}
	}
}

// hangsUp fails unless the client closes the socket.
func (p *peer) hangsUp() {
	p.t.Helper()
	for {
		f, err := p.readFrame(time.Hour)
		if err != nil {
			if t, ok := errs.AsType[interface {
				error
				Timeout() bool
			}](err); ok && t.Timeout() {
				p.t.Fatal("peer: the client keeps the socket open")
			}
			return
		}
		if f.Type != wire.FrameHeartbeat {
			m, _ := p.dec.Method(f.Payload)
			p.t.Fatalf("peer: frame of type %d on channel %d (%T), want the end", f.Type, f.Channel, m)
		}
	}
}

// raw writes bytes. A client that has hung up is no fault of the peer.
func (p *peer) raw(b []byte) { _, _ = p.nc.Write(b) }

// send writes methods on channel ch, in one piece.
func (p *peer) send(ch uint16, ms ...wire.Method) {
	p.t.Helper()
	p.raw(encoded(p.t, ch, ms...))
}

func encoded(t *testing.T, ch uint16, ms ...wire.Method) []byte {
	t.Helper()
	var b []byte
	for _, m := range ms {
		var err error
		if b, err = wire.AppendMethod(b, ch, m); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// sendContent writes a method that carries content, in one piece.
func (p *peer) sendContent(ch uint16, m wire.Method, props wire.Properties, body []byte) {
	p.t.Helper()
	p.raw(contentFrames(p.t, ch, m, props, body))
}

func contentFrames(t *testing.T, ch uint16, m wire.Method, props wire.Properties, body []byte) []byte {
	t.Helper()
	b := encoded(t, ch, m)
	b, err := wire.AppendHeader(b, ch, wire.ClassBasic, uint64(len(body)), &props)
	if err != nil {
		t.Fatal(err)
	}
	return wire.AppendBody(b, ch, body, 131072)
}

// deliver sends one message to a consumer.
func (p *peer) deliver(ch uint16, consumer string, tag uint64, body string) {
	p.t.Helper()
	p.sendContent(ch, &wire.BasicDeliver{ConsumerTag: consumer, DeliveryTag: tag}, wire.Properties{}, []byte(body))
}

// start is what RabbitMQ says first.
func start() *wire.ConnectionStart {
	return &wire.ConnectionStart{
		VersionMajor: 0, VersionMinor: 9, Mechanisms: "PLAIN AMQPLAIN", Locales: "en_US",
		ServerProperties: wire.Table{"product": "peer", "capabilities": wire.Table{"basic.nack": true}},
	}
}

// tune is RabbitMQ's default.
func tune() *wire.ConnectionTune {
	return &wire.ConnectionTune{ChannelMax: 2047, FrameMax: 131072, Heartbeat: 60}
}

// greet plays the handshake up to the client's open.
func (p *peer) greet(t *wire.ConnectionTune) (*wire.ConnectionStartOk, *wire.ConnectionTuneOk) {
	p.t.Helper()
	p.header()
	p.send(0, start())
	startOk := want[*wire.ConnectionStartOk](p, 0)
	p.send(0, t)
	tuneOk := want[*wire.ConnectionTuneOk](p, 0)
	return startOk, tuneOk
}

// header reads the protocol header.
func (p *peer) header() {
	p.t.Helper()
	b := make([]byte, len(wire.ProtocolHeader))
	for n := 0; n < len(b); {
		m, err := p.nc.Read(b[n:])
		if n += m; err != nil {
			p.t.Fatal(err)
		}
	}
	if string(b) != wire.ProtocolHeader {
		p.t.Fatalf("peer: the client begins with %q", b)
	}
}

// openConn returns an open connection and its peer. They end with the test.
func openConn(t *testing.T, cfg Config) (*Conn, *peer) {
	t.Helper()
	return openTuned(t, cfg, tune())
}

func openTuned(t *testing.T, cfg Config, tune *wire.ConnectionTune) (*Conn, *peer) {
	t.Helper()
	p, nc := newPeer(t)
	dial := async(func() (*Conn, error) { return Open(t.Context(), nc, cfg) })
	p.greet(tune)
	want[*wire.ConnectionOpen](p, 0)
	p.send(0, &wire.ConnectionOpenOk{})
	c := dial.get(t)
	t.Cleanup(func() {
		_ = p.nc.Close()
		<-c.Done()
		if t.Failed() {
			t.Logf("the connection ended with: %v", c.Err())
		}
	})
	return c, p
}

// openChannel returns an open channel on a new connection, and the peer.
func openChannel(t *testing.T, cfg Config) (*Channel, *peer) {
	t.Helper()
	c, p := openConn(t, cfg)
	return p.channel(c), p
}

// channel opens a further channel.
func (p *peer) channel(c *Conn) *Channel {
	p.t.Helper()
	open := async(func() (*Channel, error) { return c.Channel(p.t.Context()) })
	f := p.frame()
	if id, _ := wire.PeekMethod(f.Payload); id != wire.MethodChannelOpen {
		p.t.Fatalf("peer: %s, want channel.open", id)
	}
	p.send(f.Channel, &wire.ChannelOpenOk{})
	return open.get(p.t)
}

// confirm puts ch into confirm mode.
func (p *peer) confirm(ch *Channel) {
	p.t.Helper()
	done := async0(func() error { return ch.Confirm(p.t.Context(), ConfirmSelect{}) })
	want[*wire.ConfirmSelect](p, ch.ID())
	p.send(ch.ID(), &wire.ConfirmSelectOk{})
	done.get(p.t)
}

// consume starts a consumer with this tag.
func (p *peer) consume(ch *Channel, m BasicConsume, opts ...ConsumeOption) *Consumer {
	p.t.Helper()
	done := async(func() (*Consumer, error) { return ch.Consume(p.t.Context(), m, opts...) })
	got := want[*wire.BasicConsume](p, ch.ID())
	tag := got.ConsumerTag
	if tag == "" {
		tag = "amq.ctag-1"
	}
	p.send(ch.ID(), &wire.BasicConsumeOk{ConsumerTag: tag})
	return done.get(p.t)
}

// qos sets a prefetch.
func (p *peer) qos(ch *Channel, prefetch uint16) {
	p.t.Helper()
	done := async0(func() error { return ch.Qos(p.t.Context(), BasicQos{PrefetchCount: prefetch}) })
	want[*wire.BasicQos](p, ch.ID())
	p.send(ch.ID(), &wire.BasicQosOk{})
	done.get(p.t)
}

// receive returns the next delivery, which must be there.
func receive(t *testing.T, c *Consumer) *Delivery {
	t.Helper()
	synctest.Wait()
	d, err := c.TryReceive()
	if d == nil || err != nil {
		t.Fatalf("no delivery: %v", err)
	}
	return d
}

// result is what a call on another goroutine returns.
type result[T any] struct {
	done chan struct{}
	v    T
	err  error
}

// async runs f on a goroutine.
func async[T any](f func() (T, error)) *result[T] {
	r := &result[T]{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.v, r.err = f()
	}()
	return r
}

// async0 is async for functions that return an error only.
func async0(f func() error) *result[struct{}] {
	return async(func() (struct{}, error) { return struct{}{}, f() })
}

// get waits and returns the value; an error fails the test.
func (r *result[T]) get(t *testing.T) T {
	t.Helper()
	if err := r.fail(t); err != nil {
		t.Fatalf("call failed: %v", err)
	}
	return r.v
}

// fail waits and returns the error. A call that takes an hour hangs.
func (r *result[T]) fail(t *testing.T) error {
	t.Helper()
	limit := time.NewTimer(time.Hour)
	defer limit.Stop()
	select {
	case <-r.done:
		return r.err
	case <-limit.C:
		t.Fatal("the call hangs")
		return nil
	}
}

// waits fails the test if the call has returned once all goroutines wait.
func (r *result[T]) waits(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case <-r.done:
		t.Fatalf("the call did not wait: %v", r.err)
	default:
	}
}

func mustIs(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error %v, want %v", err, target)
	}
}

func mustAs[E error](t *testing.T, err error) E {
	t.Helper()
	e, ok := errs.AsType[E](err)
	if !ok {
		t.Fatalf("error %v (%T), want %T", err, err, e)
	}
	return e
}

func noErr(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var bg = context.Background()
