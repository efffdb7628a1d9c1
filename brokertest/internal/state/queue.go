package state

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// QueueSpec is what a client says of a queue.
type QueueSpec struct {
	Name                           string // empty: the broker makes one up
	Durable, Exclusive, AutoDelete bool
	Arguments                      wire.Table
	Owner                          any // the connection that asks
}

// Queue holds messages until they are acknowledged; a stream keeps them.
type Queue struct {
	QueueSpec
	Kind  string // classic, quorum or stream
	vhost *VHost
	limits

	serial    uint64
	delayed   []delayedEntry // messages that have come back, of a quorum queue
	ready     ready
	log       streamLog // of a stream
	unacked   int
	refusing  bool // a quorum queue that was full has not got enough room again
	positions uint64
	bindings  []*Binding // that lead here

	consumers    []*Consumer // higher priority first, then who was served longest ago
	active       *Consumer   // the single active consumer
	exclusive    *Consumer   // that has the queue to itself
	hadConsumers bool
	lastUsed     time.Time

	reply func(*Message) // takes all messages, see AddReplyQueue

	touched bool
	deleted bool
}

// Queue returns the queue with the name, if the connection may use it.
func (v *VHost) Queue(name string, owner any) (*Queue, *Refusal) {
	q := v.queues[name]
	if q == nil {
		return nil, v.notFound("queue", name)
	}
	return q, q.checkAccess(owner)
}

// Queues returns all queues in the order of their making.
func (v *VHost) Queues() []*Queue {
	return bySerial(slices.Collect(maps.Values(v.queues)))
}

// bySerial sorts queues in the order of their making.
func bySerial(qs []*Queue) []*Queue {
	slices.SortFunc(qs, func(a, b *Queue) int { return cmp.Compare(a.serial, b.serial) })
	return qs
}

// DeclareQueue creates a queue, or checks that the one there is as described.
func (v *VHost) DeclareQueue(spec QueueSpec) (*Queue, *Refusal) {
	spec.Durable = spec.Durable && !spec.Exclusive
	spec.Arguments = withType(spec.Arguments)
	if spec.Name == "" {
		if kind, _ := spec.Arguments[argQueueType].(string); kind == kindQuorum || kind == kindStream {
			return nil, Refuse(PreconditionFailed, "Cannot declare a server-named queue for type rabbit_%s_queue", kind)
		}
		spec.Name = v.NewName("amq.gen-")
	} else if r := CheckQueueName(spec.Name); r != nil {
		return nil, r
	}
	if q := v.queues[spec.Name]; q != nil {
		return q, q.equivalent(spec)
	}
	what := v.resource("queue", spec.Name)
	if r := v.checkExchangeName(spec.Arguments, argDeadLetter, what); r != nil {
		return nil, r
	}
	kind, r := checkQueueArguments(spec.Arguments, what)
	if r == nil && kind != kindClassic {
		r = checkReplicated(spec, what)
	}
	if r != nil {
		return nil, r
	}
	q := newQueue(v, spec, kind)
	v.queues[q.Name] = q
	v.touch(q)
	return q, nil
}

// withType adds the type of a queue where the client leaves it to the broker.
func withType(args wire.Table) wire.Table {
	if _, ok := args[argQueueType]; ok {
		return args
	}
	args = args.Clone()
	if args == nil {
		args = wire.Table{}
	}
	args[argQueueType] = kindClassic
	return args
}

// CheckQueueName refuses names that only a broker may give.
func CheckQueueName(name string) *Refusal {
	if strings.HasPrefix(name, "amq.") {
		return reserved("queue", name)
	}
	return nil
}

// HasQueue reports whether there is a queue with the name.
func (v *VHost) HasQueue(name string) bool { return v.queues[name] != nil }

// checkReplicated refuses what quorum queues and streams cannot be.
func checkReplicated(spec QueueSpec, what string) *Refusal {
	switch {
	case spec.AutoDelete:
		return Refuse(PreconditionFailed, "invalid property 'auto-delete' for %s", what)
	case spec.Exclusive:
		return Refuse(PreconditionFailed, "invalid property 'exclusive-owner' for %s", what)
	case !spec.Durable:
		return Refuse(PreconditionFailed, "invalid property 'non-durable' for %s", what)
	}
	return nil
}

func newQueue(v *VHost, spec QueueSpec, kind string) *Queue {
	q := &Queue{QueueSpec: spec, Kind: kind, vhost: v, serial: v.serial(), limits: v.newLimits(v.governed(spec.Name, spec.Arguments, ofQueues), kind), lastUsed: v.Now()}
	switch kind {
	case kindClassic:
		q.ready = newReady(q.maxPriority+1, false)
	case kindQuorum:
		q.ready = v.newQuorumReady()
	default:
		q.ready = newReady(1, false)
	}
	return q
}

// equivalent compares in RabbitMQ's order.
func (q *Queue) equivalent(spec QueueSpec) *Refusal {
	if spec.Exclusive != q.Exclusive || q.Exclusive && q.Owner != spec.Owner {
		return q.locked()
	}
	what := q.resource()
	r := firstRefusal(
		sameField("durable", spec.Durable, q.Durable, what),
		sameField("auto_delete", spec.AutoDelete, q.AutoDelete, what))
	for _, key := range queueArguments[q.Kind] {
		switch {
		case r != nil:
		case key == argMaxAge && !q.vhost.Before43:
			r = sameAge(spec.Arguments, q.Arguments, what)
		default:
			r = sameArgument(key, spec.Arguments, q.Arguments, what)
		}
	}
	return r
}

func (q *Queue) resource() string { return q.vhost.resource("queue", q.Name) }

// checkAccess refuses an exclusive queue to all but its owner.
func (q *Queue) checkAccess(owner any) *Refusal {
	if q.Exclusive && q.Owner != owner {
		return q.locked()
	}
	return nil
}

func (q *Queue) locked() *Refusal {
	return Refuse(ResourceLocked, "cannot obtain exclusive access to locked %s. It could be originally declared on another"+
		" connection or the exclusive property value does not match that of the original declaration.", q.resource())
}

// DeleteQueue deletes a queue and returns how many messages it held. One that is not there counts as
// deleted.
func (v *VHost) DeleteQueue(name string, owner any, ifUnused, ifEmpty bool) (messages int, r *Refusal) {
	q := v.queues[name]
	if q == nil {
		return 0, nil
	}
	if r := q.checkAccess(owner); r != nil {
		return 0, r
	}
	if r := q.checkDelete(ifUnused, ifEmpty); r != nil {
		return 0, r
	}
	if q.Kind != kindStream {
		messages = q.Len()
	}
	q.Delete()
	return messages, nil
}

// checkDelete refuses what the flags of queue.delete forbid. Quorum queues know none, streams ignore them.
func (q *Queue) checkDelete(ifUnused, ifEmpty bool) *Refusal {
	const unknown = "cannot delete %s. queue.delete operations with %s flag set are not supported by quorum queues"
	switch {
	case q.Kind == kindStream:
		return nil
	case q.Kind == kindQuorum && ifUnused:
		return Refuse(NotImplemented, unknown, q.resource(), "if-unused")
	case q.Kind == kindQuorum && ifEmpty:
		return Refuse(NotImplemented, unknown, q.resource(), "if-empty")
	case ifUnused && len(q.consumers) > 0:
		return Refuse(PreconditionFailed, "%s in use", q.resource())
	case ifEmpty && q.Len() > 0:
		return Refuse(PreconditionFailed, "%s not empty", q.resource())
	}
	return nil
}

// Delete deletes the queue, its bindings and its messages, and cancels its consumers.
func (q *Queue) Delete() {
	if q.deleted {
		return
	}
	q.deleted = true
	delete(q.vhost.queues, q.Name)
	delete(q.vhost.timed, q)
	for _, b := range slices.Clone(q.bindings) {
		b.remove()
	}
	consumers := q.consumers
	q.consumers = nil
	for _, c := range consumers {
		c.gone = true
		c.Sink.Cancel(c)
	}
	q.ready.clear()
	q.delayed = nil
	q.log = streamLog{}
}

// DeleteOwned deletes the exclusive queues of a connection that has ended.
func (v *VHost) DeleteOwned(owner any) {
	for _, q := range v.Queues() {
		if q.Exclusive && q.Owner == owner {
			q.Delete()
		}
	}
}

// Purge drops the messages that wait for a consumer and returns their number.
func (q *Queue) Purge() (messages int, r *Refusal) {
	if q.Kind == kindStream {
		return 0, Refuse(NotImplemented, "queue.purge not supported by stream queues %s", q.resource())
	}
	n := q.ready.len
	q.ready.clear()
	q.vhost.touch(q)
	return n, nil
}

// Count returns what declare-ok says of the queue, which counts no consumers of a stream. A classic queue that
// expires begins its time again.
func (q *Queue) Count() (messages, consumers int) {
	switch q.Kind {
	case kindStream:
		return q.Len(), 0
	case kindClassic:
		q.lastUsed = q.vhost.Now()
	}
	return q.Len(), len(q.consumers)
}

// Len returns how many messages wait for a consumer; of a stream, how many it holds.
func (q *Queue) Len() int {
	if q.Kind == kindStream {
		return len(q.log.entries)
	}
	return q.ready.len
}

// Waiting returns the messages that Len counts, in the order in which they go; they are not to be changed.
func (q *Queue) Waiting() []*Entry {
	if q.Kind == kindStream {
		return slices.Clone(q.log.entries)
	}
	return q.ready.all()
}

// Unacked returns how many messages clients have and have not settled.
func (q *Queue) Unacked() int { return q.unacked }

// Consumers returns the queue's consumers; it is not to be changed.
func (q *Queue) Consumers() []*Consumer { return q.consumers }

// VHost returns the virtual host that the queue is in.
func (q *Queue) VHost() *VHost { return q.vhost }
