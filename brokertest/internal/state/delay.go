package state

import (
	"slices"
	"strconv"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Arguments and headers of the plugin rabbitmq_delayed_message_exchange.
const (
	delayedType = "x-delayed-type" // how an exchange of the type x-delayed-message routes
	delayHeader = "x-delay"        // milliseconds
	maxDelay    = 4294967295       // above it a message is not delayed at all
)

// delayed is a message that an exchange holds back.
type delayed struct {
	at       time.Time
	exchange string
	message  *Message
}

func (v *VHost) checkDelayed(spec ExchangeSpec) *Refusal {
	if spec.Type != Delayed {
		return nil
	}
	kind, ok := spec.Arguments[delayedType].(string)
	if !ok {
		return Refuse(PreconditionFailed, "Invalid argument, 'x-delayed-type' must be an existing exchnage type")
	}
	return v.CheckExchangeType(kind)
}

// delay holds m back if it asks for that. To who publishes it a message that is held back is routed nowhere: a
// mandatory one is returned, and delivered later all the same.
func (v *VHost) delay(x *Exchange, m *Message) bool {
	value := m.Headers()[delayHeader]
	ms, ok := integer(value)
	switch value := value.(type) {
	case string:
		n, err := strconv.ParseInt(value, 10, 64)
		ms, ok = n, err == nil
	case float32:
		ms, ok = int64(value), true
	case float64:
		ms, ok = int64(value), true
	}
	if !ok || ms <= 0 || ms > maxDelay {
		return false
	}
	later := *m
	later.edit(func(p *wire.Properties) { p.Headers[delayHeader] = int32(-ms) }) // so that nobody delays it again
	d := delayed{v.Now().Add(time.Duration(ms) * time.Millisecond), x.Name, &later}
	i, _ := slices.BinarySearchFunc(v.delayed, d, func(a, b delayed) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1 // behind those of the same time
	})
	v.delayed = slices.Insert(v.delayed, i, d)
	v.wakeAt(v.delayed[0].at)
	return true
}

// release routes what was delayed until now. An exchange that is gone takes it along.
func (v *VHost) release(now time.Time) {
	for len(v.delayed) > 0 && !v.delayed[0].at.After(now) {
		d := v.delayed[0]
		v.delayed = slices.Delete(v.delayed, 0, 1)
		if x := v.exchanges[d.exchange]; x != nil {
			v.Publish(x, d.message)
		}
	}
}
