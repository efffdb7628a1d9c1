package state

import (
	"fmt"
	"time"
)

// VHost is a virtual host.
type VHost struct {
	Name string
	Now  func() time.Time
	// Before43 has quorum queues and dead letters behave as before RabbitMQ 4.3.
	Before43 bool
	// Before40 has streams, exchanges and dead letters too behave as RabbitMQ 3.10 does. Such a broker is
	// Before43 as well.
	Before40 bool
	// Delays has exchanges of the type x-delayed-message.
	Delays bool
	// NewName returns a name that starts with prefix and that no other call returns.
	NewName func(prefix string) string

	exchanges map[string]*Exchange
	queues    map[string]*Queue
	replies   map[string]*Queue
	policies  []Policy        // higher priority first
	touched   []*Queue        // in which something may follow, see Settle
	timed     map[*Queue]bool // in which time counts
	delayed   []delayed       // in exchanges, the one that is due first in front
	next      time.Time       // when to look at them, or earlier
	created   uint64          // serial number of the last queue or exchange

	routes []*Queue // what route found last, kept for its memory
}

// NewVHost returns a virtual host with the predefined exchanges.
func NewVHost(name string, now func() time.Time, newName func(prefix string) string) *VHost {
	v := &VHost{Name: name, Now: now, NewName: newName,
		exchanges: map[string]*Exchange{}, queues: map[string]*Queue{}, replies: map[string]*Queue{}, timed: map[*Queue]bool{}}
	for _, spec := range []ExchangeSpec{
		{Name: "", Type: Direct}, {Name: "amq.direct", Type: Direct}, {Name: "amq.fanout", Type: Fanout},
		{Name: "amq.headers", Type: Headers}, {Name: "amq.match", Type: Headers},
		{Name: "amq.rabbitmq.trace", Type: Topic, Internal: true}, {Name: "amq.topic", Type: Topic},
	} {
		spec.Durable = true
		v.exchanges[spec.Name] = newExchange(v, spec)
	}
	return v
}

// Settle does what follows from the changes since its last call: deliveries, expiries, limits of length, and
// what follows from those. It ends because a message that dies in a circle is dropped.
func (v *VHost) Settle() {
	for i := 0; i < len(v.touched); i++ {
		q := v.touched[i]
		q.touched = false
		q.settle()
	}
	v.touched = v.touched[:0]
}

// touch has Settle look at q.
func (v *VHost) touch(q *Queue) {
	if !q.touched {
		q.touched = true
		v.touched = append(v.touched, q)
	}
}

// serial numbers what is created, so that it can be listed in that order.
func (v *VHost) serial() uint64 {
	v.created++
	return v.created
}

// resource is how RabbitMQ names things in reply texts.
func (v *VHost) resource(kind, name string) string {
	return fmt.Sprintf("%s '%s' in vhost '%s'", kind, name, v.Name)
}

func (v *VHost) notFound(kind, name string) *Refusal {
	return Refuse(NotFound, "no %s", v.resource(kind, name))
}
