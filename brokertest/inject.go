package brokertest

import "github.com/warren-mq/warren/core/wire"

// Inject sends a method, and its content if it has some, to the client of a connection, without the broker
// knowing of it. It reports whether there is such a connection.
func (b *Broker) Inject(connection int, channel uint16, m wire.Method, p wire.Properties, body []byte) (bool, error) {
	frames, err := wire.AppendMethod(nil, channel, m)
	content := wire.HasContent(m.ID())
	if err == nil && content {
		frames, err = wire.AppendHeader(frames, channel, wire.ClassBasic, uint64(len(body)), &p)
	}
	if err != nil {
		return false, err
	}
	return b.inject(connection, func(c *conn) []byte {
		if content {
			return wire.AppendBody(frames, channel, body, c.frameMax)
		}
		return frames
	}), nil
}

// InjectBytes sends octets of any kind to the client of a connection, between two frames. It reports whether
// there is such a connection.
func (b *Broker) InjectBytes(connection int, octets []byte) bool {
	return b.inject(connection, func(*conn) []byte { return octets })
}

func (b *Broker) inject(connection int, octets func(*conn) []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		if c.id == connection {
			begin := len(c.out)
			c.out = append(c.out, octets(c)...)
			c.seams = append(c.seams, begin, len(c.out))
			c.touch()
			b.wake()
			return true
		}
	}
	return false
}
