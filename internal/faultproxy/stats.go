package faultproxy

import "errors"

// Stats count what a proxy has done: a fault without effect shows nothing here.
type Stats struct {
	Accepted  int   // connections
	Refused   int   // connections
	Resets    int   // connections reset by [Proxy.Reset]
	Cuts      int   // connections reset at a byte or a frame
	Sliced    int64 // times that [Proxy.Slice] left something for later
	Swallowed int64 // bytes
}

// Stats returns the counts since New.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

func (p *Proxy) count(change func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.stats)
}

func (p *Proxy) countCut(err error) {
	if errors.Is(err, errCut) {
		p.count(func(s *Stats) { s.Cuts++ })
	}
}
