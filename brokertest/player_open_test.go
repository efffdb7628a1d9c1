package brokertest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// clientProperties announce what RabbitMQ looks at.
var clientProperties = wire.Table{"capabilities": wire.Table{
	"authentication_failure_close": true, "basic.nack": true, "connection.blocked": true,
	"consumer_cancel_notify": true, "publisher_confirms": true,
}}

func (p *player) connect(name string) error {
	conn, err := p.dial()
	if err != nil {
		return err
	}
	p.clients[name] = newRawClient(conn)
	p.opened[name] = true
	return nil
}

// open opens a connection and a channel on their first use. Once a channel has been opened, opening it again
// after its end is up to the scenario.
func (p *player) open(conn, channel string) error {
	if !p.opened[conn] {
		if err := p.handshake(conn); err != nil {
			return err
		}
	}
	if channel == "0" || channel == "" || p.opened[conn+channel] || p.opened[conn+"raw"] {
		return nil
	}
	p.opened[conn+channel] = true
	n, err := strconv.ParseUint(channel, 10, 16)
	if err != nil {
		return err
	}
	_, err = p.call(conn, uint16(n), &wire.ChannelOpen{})
	return err
}

// handshake takes a connection through its handshake.
func (p *player) handshake(name string) error {
	if err := p.connect(name); err != nil {
		return err
	}
	if err := p.clients[name].write([]byte(wire.ProtocolHeader)); err != nil {
		return err
	}
	if _, err := p.await(name, 0); err != nil {
		return err
	}
	user, password := p.login[0], p.login[1]
	if other, ok := p.users[name]; ok {
		user, password = other, other
	}
	startOk := &wire.ConnectionStartOk{ClientProperties: clientProperties, Mechanism: "PLAIN", Locale: "en_US",
		Response: wire.Secret("\x00" + user + "\x00" + password)}
	m, err := p.call(name, 0, startOk)
	if err != nil {
		return err
	}
	tune, ok := m.(*wire.ConnectionTune)
	if !ok {
		return fmt.Errorf("start-ok is answered by %v", m.ID())
	}
	tuneOk := wire.ConnectionTuneOk{ChannelMax: tune.ChannelMax, FrameMax: tune.FrameMax, Heartbeat: 0}
	if err := p.clients[name].send(0, &tuneOk, nil); err != nil {
		return err
	}
	_, err = p.call(name, 0, &wire.ConnectionOpen{VirtualHost: p.vhost})
	return err
}

func (p *player) call(conn string, channel uint16, m wire.Method) (wire.Method, error) {
	if err := p.clients[conn].send(channel, m, nil); err != nil {
		return nil, err
	}
	return p.await(conn, channel)
}

// await returns the next method of a channel.
func (p *player) await(conn string, channel uint16) (wire.Method, error) {
	timeout := time.After(10 * time.Second)
	for {
		got, changed := p.clients[conn].take()
		i := slices.IndexFunc(got, func(r received) bool { return r.method == nil || r.channel == channel })
		if i < 0 {
			p.pending(conn, got)
		} else if m := got[i].method; m == nil {
			return nil, fmt.Errorf("connection %s: %s", conn, got[i].text)
		} else {
			p.pending(conn, slices.Delete(got, i, i+1))
			return m, nil
		}
		select {
		case <-changed:
		case <-timeout:
			return nil, errors.New("no answer within 10 s")
		}
	}
}

// pending keeps what came together with an awaited method.
func (p *player) pending(conn string, r []received) {
	c := p.clients[conn]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received = append(r, c.received...)
}
