package publisher

// Held returns how many receipts wait, those given up included.
func Held(p *Publisher) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.len() + len(p.refused.list) + len(p.lost)
}
