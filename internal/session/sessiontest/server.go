// Package sessiontest has what tests of sessions and of what lives on them share: a scripted server, and
// a journal of events.
package sessiontest

import (
	"context"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
)

// Server is a broker that answers every request with success, unless the
// test's script says otherwise. It keeps no entities; it is for what a real
// broker rarely does, at a moment the test chooses.
type Server struct {
	addr     string
	network  *memnet.Network
	Listener *memnet.Listener
	wait     sync.WaitGroup

	mu     sync.Mutex // guards the following
	script func(p *Peer, channel uint16, m wire.Method) bool
	log    []string // methods received, without those of the handshake
	Peers  []*Peer
	named  int
}

// Peer is one connection, at the server's end.
type Peer struct {
	*Server
	NC       *memnet.Conn
	Number   int // of the connection, from 1
	confirms map[uint16]uint64
	Open     bool            // the handshake is over
	Closing  map[uint16]bool // channels that were closed over something; 0: the connection
}

// NewServer starts a server at addr on the network.
func NewServer(t *testing.T, n *memnet.Network, addr string) *Server {
	t.Helper()
	s := &Server{addr: addr, network: n}
	s.Listen(t)
	t.Cleanup(s.Stop)
	return s
}

// Listen accepts connections, at first and again after Stop.
func (s *Server) Listen(t *testing.T) {
	t.Helper()
	l, err := s.network.Listen(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = l
	s.wait.Go(func() { s.runAccept(l) })
}

// Stop ends the server with all its connections.
func (s *Server) Stop() {
	_ = s.Listener.Close()
	s.Drop()
	s.wait.Wait()
}

// Drop resets the open connections.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.Peers {
		p.NC.Reset()
	}
	s.Peers = nil
}

// On sets the script. It is called for each method, and returns true if it
// has dealt with it. Methods of the handshake come with channel 0.
func (s *Server) On(script func(p *Peer, channel uint16, m wire.Method) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Received returns the methods received since the last call, except opening
// and closing of channels.
func (s *Server) Received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

func (s *Server) runAccept(l *memnet.Listener) {
	for number := 1; ; number++ {
		nc, err := l.AcceptConn()
		if err != nil {
			return
		}
		p := &Peer{Server: s, NC: nc, Number: number, confirms: map[uint16]uint64{}, Closing: map[uint16]bool{}}
		s.mu.Lock()
		s.Peers = append(s.Peers, p)
		s.mu.Unlock()
		s.wait.Go(p.runServe)
	}
}

func (p *Peer) runServe() {
	defer func() { _ = p.NC.Close() }()
	header := make([]byte, len(wire.ProtocolHeader))
	if _, err := io.ReadFull(p.NC, header); err != nil {
		return
	}
	if !p.handle(0, nil) {
		p.Send(0, &wire.ConnectionStart{VersionMinor: 9, Mechanisms: "PLAIN", Locales: "en_US"})
	}
	var buf []byte
	chunk := make([]byte, 64<<10)
	var dec wire.Decoder
	for {
		f, n, err := wire.ParseFrame(buf, 1<<20)
		if err != nil {
			return
		}
		if n == 0 {
			m, err := p.NC.Read(chunk)
			if err != nil {
				return
			}
			buf = append(buf, chunk[:m]...)
			continue
		}
		p.frame(&dec, f)
		buf = buf[n:]
	}
}

func (p *Peer) frame(dec *wire.Decoder, f wire.Frame) {
	if f.Type != wire.FrameMethod {
		return
	}
	m, err := dec.Method(f.Payload)
	if err != nil {
		panic(err)
	}
	if p.ignored(f.Channel, m) {
		return
	}
	if p.Open && m.ID().Class() != wire.ClassChannel && m.ID().Class() != wire.ClassConnection {
		p.mu.Lock()
		p.log = append(p.log, DescribeMethod(m))
		p.mu.Unlock()
	}
	if !p.handle(f.Channel, m) {
		p.Answer(f.Channel, m)
	}
}

// ignored reports whether the peer has closed the channel, and waits for the
// other side to agree: it then looks at nothing else.
func (p *Peer) ignored(channel uint16, m wire.Method) bool {
	if p.Closing[0] || !p.Closing[channel] {
		return p.Closing[0]
	}
	switch m.(type) {
	case *wire.ChannelClose:
		p.Send(channel, &wire.ChannelCloseOk{})
	case *wire.ChannelCloseOk:
		delete(p.Closing, channel)
	}
	return true
}

func (p *Peer) handle(channel uint16, m wire.Method) bool {
	p.mu.Lock()
	script := p.script
	p.mu.Unlock()
	return script != nil && script(p, channel, m)
}

// Answer does what a broker does to which everything is fine.
func (p *Peer) Answer(channel uint16, m wire.Method) {
	switch m := m.(type) {
	case *wire.ConnectionStartOk:
		p.Send(0, &wire.ConnectionTune{FrameMax: 131072})
	case *wire.ConnectionTuneOk:
	case *wire.ConnectionOpen:
		p.Open = true
		p.Send(0, &wire.ConnectionOpenOk{})
	case *wire.QueueDeclare:
		if m.NoWait {
			return
		}
		p.Send(channel, &wire.QueueDeclareOk{Queue: p.queueName(m.Queue)})
	case *wire.BasicConsume:
		if m.NoWait {
			return
		}
		tag := m.ConsumerTag
		if tag == "" {
			tag = "amq.ctag-" + m.Queue
		}
		p.Send(channel, &wire.BasicConsumeOk{ConsumerTag: tag})
	case *wire.BasicCancel:
		if !m.NoWait {
			p.Send(channel, &wire.BasicCancelOk{ConsumerTag: m.ConsumerTag})
		}
	case *wire.BasicGet:
		p.Send(channel, &wire.BasicGetEmpty{})
	case *wire.ConfirmSelect:
		p.confirms[channel] = 0
		p.reply(channel, m)
	case *wire.BasicPublish:
		if n, confirming := p.confirms[channel]; confirming {
			p.confirms[channel] = n + 1
			p.Send(channel, &wire.BasicAck{DeliveryTag: n + 1})
		}
	case *wire.ChannelOpen:
		delete(p.confirms, channel)
		p.reply(channel, m)
	default:
		p.reply(channel, m)
	}
}

func (p *Peer) queueName(asked string) string {
	if asked != "" {
		return asked
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.named++
	return fmt.Sprintf("amq.gen-%d", p.named)
}

// reply sends the reply that says nothing, if the method has one.
func (p *Peer) reply(channel uint16, m wire.Method) {
	noWait := reflect.ValueOf(m).Elem().FieldByName("NoWait")
	if replies := wire.Replies(m.ID()); len(replies) > 0 && (!noWait.IsValid() || !noWait.Bool()) {
		p.Send(channel, wire.NewMethod(replies[0]))
	}
}

// Send sends a method.
func (p *Peer) Send(channel uint16, m wire.Method) {
	b, err := wire.AppendMethod(nil, channel, m)
	if err != nil {
		panic(err)
	}
	_, _ = p.NC.Write(b) // fails when the client has gone
}

// Refuse closes the channel over m.
func (p *Peer) Refuse(channel uint16, m wire.Method, code core.Code, text string) bool {
	id := uint32(m.ID())
	p.Closing[channel] = true
	p.Send(channel, &wire.ChannelClose{ReplyCode: uint16(code), ReplyText: text, ClassID: uint16(id >> 16), MethodID: uint16(id)})
	return true
}

// Kill closes the connection over m.
func (p *Peer) Kill(m wire.Method, code core.Code, text string) bool {
	id := uint32(m.ID())
	p.Closing[0] = true
	p.Send(0, &wire.ConnectionClose{ReplyCode: uint16(code), ReplyText: text, ClassID: uint16(id >> 16), MethodID: uint16(id)})
	return true
}

// describeMethod returns a method with the name that it is about.
func DescribeMethod(m wire.Method) string {
	about := ""
	switch m := m.(type) {
	case *wire.ExchangeDeclare:
		about = passively(m.Passive) + m.Exchange
	case *wire.QueueDeclare:
		about = passively(m.Passive) + m.Queue
	case *wire.QueueBind:
		about = m.Queue + " " + m.Exchange + " " + m.RoutingKey
	case *wire.QueueDelete:
		about = m.Queue
	case *wire.BasicConsume:
		about = m.Queue + " " + m.ConsumerTag
	case *wire.BasicCancel:
		about = m.ConsumerTag
	case *wire.BasicQos:
		about = fmt.Sprint(m.PrefetchCount)
	case *wire.BasicPublish:
		about = m.RoutingKey
	}
	if about == "" {
		return m.ID().String()
	}
	return m.ID().String() + " " + about
}

func passively(passive bool) string {
	if passive {
		return "passive "
	}
	return ""
}

// Login is Endpoint with a source of credentials.
func (s *Server) Login(source core.CredentialSource) core.Config {
	e := s.Endpoint()
	e.Credentials = source
	return e
}

// Endpoint is how a client reaches the server.
func (s *Server) Endpoint() core.Config {
	return core.Config{
		Addr: s.addr, Heartbeat: -1,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return s.network.DialContext(ctx, network, addr)
		},
	}
}

// Count returns how many of the methods received begin with prefix.
func (s *Server) Count(prefix string) int {
	n := 0
	for _, m := range s.Received() {
		if len(m) >= len(prefix) && m[:len(prefix)] == prefix {
			n++
		}
	}
	return n
}

// Equal reports whether got is want.
func Equal(got []string, want ...string) bool { return slices.Equal(got, want) }
