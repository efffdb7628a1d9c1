package core

import (
	"net"
	"syscall"
)

// link is what can be known of the socket under a connection: how much of what
// it took is still here. The zero value knows nothing, and then what the socket
// took counts as gone.
type link struct{ raw syscall.RawConn }

// newLink finds the TCP socket under nc: TLS and other wrappers that tell what
// they wrap are looked through. It bounds what the kernel holds unsent, so that
// nothing waits behind megabytes which a slow link takes minutes to carry away.
func newLink(nc net.Conn) link {
	for {
		switch c := nc.(type) {
		case *net.TCPConn:
			raw, err := c.SyscallConn()
			if err != nil {
				return link{}
			}
			l := link{raw}
			l.boundUnsent(maxUnsent)
			return l
		case interface{ NetConn() net.Conn }:
			nc = c.NetConn()
		default:
			return link{}
		}
	}
}

// maxUnsent is about how many bytes the kernel takes that it cannot send yet;
// what is on its way and not acknowledged comes on top. See docs/internals/performance.md.
const maxUnsent = 128 << 10

// departures is what was handed to the socket, and what of it is still here.
type departures struct{ taken, held int64 }

// moved reports whether bytes left between before and now: what the socket
// takes moves nothing as long as it only holds more.
func (now departures) moved(before departures) bool {
	return now.held < before.held || now.taken-now.held > before.taken-before.held
}

func (c *Conn) departures() departures {
	taken := int64(c.counts.sent.Load()) // first: what is written meanwhile then counts as held
	return departures{taken, c.link.held()}
}
