package session

import (
	"sync"
	"time"

	"github.com/warren-mq/warren/recovery"
)

// announcer is the connection's lock, and what is to be told of what happens
// under it: events are queued while it is held, and handed over, in order, by
// the goroutine that releases it. So they keep the order of what they tell, and no
// function of the application is called with the lock held.
type announcer struct {
	sync.Mutex
	tell func(recovery.Event)

	// Guarded by the lock.
	queue   []recovery.Event
	telling bool // by one goroutine at a time
}

// sayLocked queues e.
func (a *announcer) sayLocked(e recovery.Event) {
	e.Time = time.Now()
	a.queue = append(a.queue, e)
}

// Unlock releases the lock and hands over what was said, unless another
// goroutine is about to.
func (a *announcer) Unlock() {
	for len(a.queue) > 0 && !a.telling {
		events := a.queue
		a.queue, a.telling = nil, true
		a.Mutex.Unlock()
		for _, e := range events {
			a.tell(e)
		}
		a.Lock()
		a.telling = false
	}
	a.Mutex.Unlock()
}
