package publisher

// queue holds the receipts of messages to be published, oldest first.
type queue struct {
	items []*Receipt
	head  int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(r *Receipt) { q.items = append(q.items, r) }

func (q *queue) pop() *Receipt {
	r := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return r
}

// pushFront puts rs, in their order, before all others.
func (q *queue) pushFront(rs []*Receipt) {
	if len(rs) == 0 {
		return
	}
	rest := q.items[q.head:]
	items := make([]*Receipt, 0, len(rs)+len(rest))
	q.items, q.head = append(append(items, rs...), rest...), 0
}

// clear empties the queue and returns what it held.
func (q *queue) clear() []*Receipt {
	held := q.items[q.head:]
	*q = queue{}
	return held
}
