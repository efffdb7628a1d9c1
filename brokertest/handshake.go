package brokertest

import (
	"time"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// serverProperties announce what RabbitMQ announces.
func serverProperties(version string) wire.Table {
	return wire.Table{
		"product": "RabbitMQ", "version": version, "platform": "Go",
		"information": "brokertest: in memory, keeps nothing",
		"capabilities": wire.Table{
			"publisher_confirms": true, "exchange_exchange_bindings": true, "basic.nack": true,
			"consumer_cancel_notify": true, "connection.blocked": true, "consumer_priorities": true,
			"authentication_failure_close": true, "per_consumer_qos": true, "direct_reply_to": true,
		},
	}
}

// start answers the protocol header.
func (c *conn) start() {
	mechanisms := "ANONYMOUS PLAIN AMQPLAIN"
	if c.b.before40() {
		mechanisms = "PLAIN AMQPLAIN"
	}
	c.send(0, &wire.ConnectionStart{VersionMajor: 0, VersionMinor: 9, ServerProperties: serverProperties(c.b.version),
		Mechanisms: mechanisms, Locales: "en_US"})
	c.phase = phaseStarting
}

// method handles a method of the connection. Caller holds Broker.mu.
func (c *conn) method(m wire.Method) {
	if _, ok := c.consult(0, m, nil); !ok {
		return
	}
	switch m := m.(type) {
	case *wire.ConnectionClose:
		c.clientClose()
		return
	case *wire.ConnectionCloseOk:
		if c.phase == phaseClosing {
			c.finish()
			return
		}
	case *wire.ConnectionStartOk:
		if c.phase == phaseStarting {
			c.startOk(m)
			return
		}
	case *wire.ConnectionTuneOk:
		if c.phase == phaseTuning {
			c.tuneOk(m)
			return
		}
	case *wire.ConnectionOpen:
		if c.phase == phaseOpening {
			c.open(m)
			return
		}
	case *wire.ConnectionUpdateSecret:
		if c.phase == phaseRunning {
			c.updateSecret(m)
			return
		}
	}
	if c.phase <= phaseRunning {
		c.fault(state.Refuse(state.ChannelError, "unexpected method in connection state %s", c.phase), m.ID())
	}
}

// String is RabbitMQ's name of the state.
func (p phase) String() string {
	return [...]string{"pre_init", "starting", "tuning", "opening", "running", "closing", "closed", "closed"}[p]
}

// clientClose answers connection.close, the client's last word.
func (c *conn) clientClose() {
	if c.phase < phaseRunning {
		c.finish()
		return
	}
	c.release()
	c.send(0, &wire.ConnectionCloseOk{})
	if c.phase == phaseRunning {
		c.phase = phaseClosed
		wait := closedTimeout
		if c.heartbeat > 0 {
			wait = min(wait, c.heartbeat)
		}
		_ = c.nc.SetReadDeadline(time.Now().Add(wait))
	}
}

func (c *conn) startOk(m *wire.ConnectionStartOk) {
	c.capabilities, _ = m.ClientProperties["capabilities"].(wire.Table)
	c.name, _ = m.ClientProperties["connection_name"].(string)
	u, r := c.b.login(m.Mechanism, m.Response)
	if r != nil {
		if r.Code == state.AccessRefused && c.can("authentication_failure_close") {
			c.close(r, 0)
			return
		}
		c.silence()
		return
	}
	c.user = u
	c.send(0, &wire.ConnectionTune{ChannelMax: c.b.channelMax, FrameMax: c.b.frameMax, Heartbeat: uint16(c.b.config.heartbeat / time.Second)})
	c.phase = phaseTuning
}

// can reports whether the client has announced a capability.
func (c *conn) can(capability string) bool {
	yes, _ := c.capabilities[capability].(bool)
	return yes
}

func (c *conn) tuneOk(m *wire.ConnectionTuneOk) {
	if !negotiated(m.FrameMax, min(c.b.leastFrameMax(), c.b.frameMax), c.b.frameMax) ||
		!negotiated(uint32(m.ChannelMax), 1, uint32(c.b.channelMax)) {
		c.silence() // RabbitMQ says nothing, contrary to its own intention
		return
	}
	c.channelMax, c.frameMax = m.ChannelMax, m.FrameMax
	c.heartbeat = time.Duration(m.Heartbeat) * time.Second
	c.phase = phaseOpening
}

// negotiated reports whether a limit is within the broker's own; 0 is no limit.
func negotiated(client, least, most uint32) bool {
	return (client == 0 || client >= least) && (most == 0 || client != 0 && client <= most)
}

func (c *conn) open(m *wire.ConnectionOpen) {
	v := c.b.vhosts[m.VirtualHost]
	if v == nil {
		c.close(state.Refuse(state.NotAllowed, "vhost %s not found", m.VirtualHost), m.ID())
		return
	}
	if !c.user.mayEnter(m.VirtualHost) {
		c.close(state.Refuse(state.NotAllowed, "access to vhost '%s' refused for user '%s'", m.VirtualHost, c.user.name), m.ID())
		return
	}
	c.vhost = v
	c.phase = phaseRunning
	c.send(0, &wire.ConnectionOpenOk{})
	_ = c.nc.SetReadDeadline(time.Time{})
}

// updateSecret takes new credentials: the password of the user, who may have other permissions by now.
func (c *conn) updateSecret(m *wire.ConnectionUpdateSecret) {
	if !c.user.mayEnter(c.vhost.Name) {
		c.close(state.Refuse(state.NotAllowed, "access to vhost '%s' refused for user '%s'", c.vhost.Name, c.user.name), m.ID())
		return
	}
	for _, ch := range c.sortedChannels() {
		ch.recheckConsumers()
	}
	c.send(0, &wire.ConnectionUpdateSecretOk{})
}
