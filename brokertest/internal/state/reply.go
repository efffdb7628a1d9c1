package state

// DirectReply is the pseudo-queue from which a client consumes replies that are sent straight to it.
const DirectReply = "amq.rabbitmq.reply-to"

// AddReplyQueue makes a queue with a made up name whose messages go to f and are not kept. It is reached
// through the default exchange, and not listed.
func (v *VHost) AddReplyQueue(f func(*Message)) (name string) {
	name = v.NewName(DirectReply + ".")
	v.replies[name] = &Queue{QueueSpec: QueueSpec{Name: name}, vhost: v, reply: f}
	return name
}

// RemoveReplyQueue ends [VHost.AddReplyQueue].
func (v *VHost) RemoveReplyQueue(name string) { delete(v.replies, name) }

// HasReplyQueue reports whether there is one with the name.
func (v *VHost) HasReplyQueue(name string) bool { return v.replies[name] != nil }

// NotFound refuses a queue that is not there.
func (v *VHost) NotFound(queue string) *Refusal { return v.notFound("queue", queue) }
