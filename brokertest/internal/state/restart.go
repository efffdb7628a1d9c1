package state

// Restart keeps what a broker finds again after it has stopped: durable exchanges, durable queues with their
// persistent messages, and the bindings between them. All connections must be gone.
func (v *VHost) Restart() {
	for _, q := range v.Queues() {
		if !q.Durable || q.Exclusive {
			q.Delete()
			continue
		}
		q.restart()
	}
	for _, x := range v.Exchanges() {
		if !x.Durable {
			x.delete()
		}
	}
}

func (q *Queue) restart() {
	q.hadConsumers = false
	q.lastUsed = q.vhost.Now()
	if q.Kind != kindClassic {
		return // every message is persistent
	}
	old := q.ready
	q.ready = newReady(len(old.lanes), old.returnsFirst)
	for e := old.pop(); e != nil; e = old.pop() {
		if e.Message.Persistent {
			q.ready.push(e)
		}
	}
}
