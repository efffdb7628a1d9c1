package session

import (
	"github.com/warren-mq/warren/core/wire"
)

// bindsTo reports whether m is a binding of the queue.
func bindsTo(m wire.Method, queue string) bool {
	b, ok := m.(*wire.QueueBind)
	return ok && b.Queue == queue
}
