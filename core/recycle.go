package core

import "sync"

// Bounds of what a connection keeps for reuse.
const (
	maxRecycled      = 8192    // deliveries
	maxRecycledBytes = 4 << 20 // of memory for their content
	maxRecycledBody  = 1 << 20 // in one of them
)

// Release gives the memory of the delivery and its body back to the
// connection, which uses it for later ones. It is never necessary: without it
// the garbage collector takes care. Where very many or very large messages
// come, it saves most of what they cost.
//
// It comes last, after the delivery was settled: neither the delivery nor its
// Body may be used afterwards, by anyone. What the property methods returned
// stays valid. It does nothing to a delivery fetched by [Channel.Get], nor to one that a
// handler of package consumer has: that is settled after the handler has returned.
func (d *Delivery) Release() {
	if d.consumer == nil || d.consumer.kept {
		return
	}
	r := &d.ch.conn.recycled
	d.consumer, d.ch, d.Body = nil, nil, nil // settling it by mistake is an error while it lies here
	r.put(d)
}

// recycler holds released deliveries, each with the memory of its content,
// until the reader needs them.
type recycler struct {
	mu    sync.Mutex // guards the following
	free  []*Delivery
	bytes int // of their content

	spare []*Delivery // the reader's own
}

func (r *recycler) put(d *Delivery) {
	size := cap(d.props)
	r.mu.Lock()
	defer r.mu.Unlock()
	if size > maxRecycledBody || len(r.free) >= maxRecycled || r.bytes+size > maxRecycledBytes {
		return
	}
	r.bytes += size
	r.free = append(r.free, d)
}

// take returns a delivery, or nil if none was released. The memory of its
// content is what props has room for. Only the reader calls it.
func (r *recycler) take() *Delivery {
	n := len(r.spare)
	if n == 0 {
		if n = r.refill(); n == 0 {
			return nil
		}
	}
	d := r.spare[n-1]
	r.spare[n-1] = nil
	r.spare = r.spare[:n-1]
	d.props = d.props[:0]
	d.settled.Store(false)
	return d
}

func (r *recycler) refill() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spare, r.free, r.bytes = r.free, r.spare, 0
	return len(r.spare)
}
