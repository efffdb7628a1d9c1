package brokertest

import "github.com/warren-mq/warren/core/wire"

// Inject sends a method, and its content if it has some, to the client of a connection, without the broker
// knowing of it. It reports whether there is such a connection.
func (b *Broker) Inject(connection int, channel uint16, m wire.Method, p wire.Properties, body []byte) (bool, error) {
	frame, err := wire.AppendMethod(nil, channel, m)
	if err == nil && wire.HasContent(m.ID()) {
		frame, err = wire.AppendHeader(frame, channel, wire.ClassBasic, uint64(len(body)), &p)
		frame = wire.AppendBody(frame, channel, body, b.frameMax)
	}
	if err != nil {
		return false, err
	}
	return b.InjectBytes(connection, frame), nil
}

// InjectBytes sends octets of any kind to the client of a connection, between two frames. It reports whether
// there is such a connection.
func (b *Broker) InjectBytes(connection int, octets []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		if c.id == connection {
			c.out = append(c.out, octets...)
			c.touch()
			b.wake()
			return true
		}
	}
	return false
}
