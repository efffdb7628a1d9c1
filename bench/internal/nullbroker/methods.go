package nullbroker

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/warren-mq/warren/bench/internal/framing"
	"github.com/warren-mq/warren/core/wire"
)

func (c *conn) start() {
	c.reply(0, &wire.ConnectionStart{
		VersionMinor: 9, Mechanisms: "PLAIN AMQPLAIN", Locales: "en_US",
		ServerProperties: wire.Table{"product": "null", "capabilities": wire.Table{
			"basic.nack": true, "publisher_confirms": true, "consumer_cancel_notify": true,
		}},
	})
}

// onMethod answers everything but publishes and acks.
func (c *conn) onMethod(id uint16, payload []byte) error {
	m, err := c.dec.Method(payload)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *wire.ConnectionStartOk:
		c.reply(0, &wire.ConnectionTune{ChannelMax: framing.ChannelMax, FrameMax: framing.FrameMax, Heartbeat: 60})
	case *wire.ConnectionTuneOk, *wire.ChannelCloseOk:
	case *wire.ConnectionOpen:
		c.reply(0, &wire.ConnectionOpenOk{})
	case *wire.ConnectionClose:
		c.goodbye = true
		c.reply(0, &wire.ConnectionCloseOk{})
	case *wire.ChannelOpen:
		c.reply(id, &wire.ChannelOpenOk{})
	case *wire.ChannelClose:
		c.close(id)
		c.reply(id, &wire.ChannelCloseOk{})
	case *wire.ConfirmSelect:
		c.channel(id).confirms = true
		c.reply(id, &wire.ConfirmSelectOk{})
	case *wire.BasicQos:
		c.channel(id).prefetch = int(m.PrefetchCount)
		c.reply(id, &wire.BasicQosOk{})
	case *wire.QueueDeclare:
		c.reply(id, &wire.QueueDeclareOk{Queue: m.Queue})
	case *wire.QueueBind:
		c.reply(id, &wire.QueueBindOk{})
	case *wire.BasicConsume:
		return c.consume(id, m)
	case *wire.BasicCancel:
		c.cancel(c.channel(id), m.ConsumerTag)
		c.reply(id, &wire.BasicCancelOk{ConsumerTag: m.ConsumerTag})
	default:
		return fmt.Errorf("%s is not known here", m.ID())
	}
	return nil
}

func (c *conn) reply(channel uint16, m wire.Method) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies, _ = wire.AppendMethod(c.replies, channel, m) // nothing in it can be refused
	c.work.Signal()
}

func (c *conn) consume(id uint16, m *wire.BasicConsume) error {
	size, err := strconv.Atoi(strings.TrimPrefix(m.Queue, "blast."))
	if err != nil || size < 0 || size > 1<<30 {
		return fmt.Errorf("no queue %q", m.Queue)
	}
	ch := c.channel(id)
	if m.ConsumerTag == "" {
		m.ConsumerTag = fmt.Sprintf("null.%d.%d", id, len(ch.consumers))
	}
	k := newConsumer(id, m.ConsumerTag, size)
	if !m.NoAck && ch.prefetch > 0 {
		k.bounded, k.credit = true, ch.prefetch
		ch.settled.reset(ch.prefetch)
	}
	c.reply(id, &wire.BasicConsumeOk{ConsumerTag: m.ConsumerTag})
	ch.consumers = append(ch.consumers, k)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.consumers = append(c.consumers, k)
	c.work.Signal()
	return nil
}

// cancel ends one consumer, or with an empty tag all of the channel.
func (c *conn) cancel(ch *channel, tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range ch.consumers {
		if tag == "" || k.tag == tag {
			k.cancelled = true
		}
	}
}

func (c *conn) close(id uint16) {
	c.cancel(c.channel(id), "")
	delete(c.channels, id)
	c.current = nil
}
