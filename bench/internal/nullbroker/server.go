// Package nullbroker is a broker that does nothing, as fast as the socket allows, so that what is measured
// against it is the client. It discards publishes, confirms them with one ack for all that a read brought,
// and sends its consumers the same message for ever, within their prefetch. The queue "blast.SIZE" holds
// messages of SIZE bytes; there is no other.
package nullbroker

import (
	"context"
	"net"
	"sync"
)

// Server accepts connections.
type Server struct {
	listener net.Listener
	running  sync.WaitGroup // every goroutine
}

// Listen starts a broker on a free port of 127.0.0.1. It ends with ctx; Wait then waits for it.
func Listen(ctx context.Context) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{listener: l}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	s.running.Go(func() { s.runAccept(ctx) })
	return s, nil
}

// Addr returns where it listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Wait returns when every connection has ended.
func (s *Server) Wait() { s.running.Wait() }

func (s *Server) runAccept(ctx context.Context) {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := newConn(nc)
		stop := context.AfterFunc(ctx, c.end)
		s.running.Go(func() {
			defer stop()
			c.runReader()
		})
		s.running.Go(c.runWriter)
	}
}
