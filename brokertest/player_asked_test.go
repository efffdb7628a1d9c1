package brokertest

import (
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/warren-mq/warren/core/wire"
)

// ask notes a request that has an answer to come.
func (p *player) ask(who string, m wire.Method) {
	if _, ok := m.(*wire.ConnectionStartOk); ok {
		p.asked[who]++
		return
	}
	noWait := reflect.ValueOf(m).Elem().FieldByName("NoWait")
	if wire.Replies(m.ID()) != nil && !(noWait.IsValid() && noWait.Bool()) {
		p.asked[who]++
	}
}

// unanswered reports whether a request is without an answer, and its channel not closed.
func (p *player) unanswered() bool {
	left := map[string]int{}
	maps.Copy(left, p.asked)
	p.unconfirmed(left)
	for name, c := range p.clients {
		c.mu.Lock()
		for _, r := range c.received {
			p.answer(left, name, r)
		}
		c.mu.Unlock()
	}
	for _, n := range left {
		if n > 0 {
			return true
		}
	}
	return false
}

// unconfirmed adds the publishes without a verdict to what is unanswered.
func (p *player) unconfirmed(left map[string]int) {
	for who, l := range p.ledgers {
		left[who] += len(l.open)
	}
}

// answer takes what came as an answer, or as the end of all questions.
func (p *player) answer(left map[string]int, name string, r received) {
	who := fmt.Sprintf("%s%d", name, r.channel)
	switch m := r.method.(type) {
	case nil:
		if r.text == "end" {
			forget(left, name)
		}
	case *wire.ConnectionClose:
		forget(left, name)
	case *wire.ChannelClose:
		delete(left, who)
	case *wire.BasicAck:
		left[who] -= p.ledgers[who].pending(m.DeliveryTag, m.Multiple)
	case *wire.BasicNack:
		left[who] -= p.ledgers[who].pending(m.DeliveryTag, m.Multiple)
	case *wire.ConnectionStart, *wire.ConnectionTune:
		left[who]--
	default:
		if id := m.ID().String(); strings.HasSuffix(id, "-ok") || strings.HasSuffix(id, "-empty") {
			left[who]--
		}
	}
}

// forget drops all questions of a connection.
func forget(left map[string]int, name string) {
	for who := range left {
		if strings.HasPrefix(who, name) {
			delete(left, who)
		}
	}
}
