package publisher

// queue holds the receipts of messages to be published, oldest first. Those
// that were given up stay until they are met, or trimmed.
type queue struct {
	items []*Receipt
	head  int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(r *Receipt) { q.items = append(q.items, r) }

// pop returns the oldest receipt that was not given up, nil if there is none.
func (q *queue) pop() *Receipt {
	for q.head < len(q.items) {
		r := q.items[q.head]
		q.items[q.head] = nil
		q.head++
		if r.phase != over {
			return r
		}
	}
	q.items, q.head = q.items[:0], 0
	return nil
}

// pushFront puts rs, in their order, before all others.
func (q *queue) pushFront(rs ...*Receipt) {
	if len(rs) == 0 {
		return
	}
	rest := q.items[q.head:]
	items := make([]*Receipt, 0, len(rs)+len(rest))
	q.items, q.head = append(append(items, rs...), rest...), 0
}

// trim lets go of what was given up.
func (q *queue) trim() {
	kept := make([]*Receipt, 0, q.len())
	for _, r := range q.items[q.head:] {
		if r.phase != over {
			kept = append(kept, r)
		}
	}
	q.items, q.head = kept, 0
}

// clear empties the queue and returns what it held.
func (q *queue) clear() []*Receipt {
	held := q.items[q.head:]
	*q = queue{}
	return held
}
