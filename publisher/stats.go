package publisher

import "github.com/warren-mq/warren/core"

// Stats counts messages since the publisher was made.
type Stats struct {
	// By outcome. Messages that could not be sent as they are count nowhere.
	Confirmed, Returned, Nacked, NotSent, Unknown uint64

	Republished uint64 // attempts beyond a message's first
	Open        int    // messages without an outcome now
	OpenBytes   int    // of their bodies
}

// Stats returns the counters.
func (p *Publisher) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Open, s.OpenBytes = p.window.messages, p.window.bytes
	return s
}

func (s *Stats) count(o core.Outcome) {
	switch o {
	case core.OutcomeConfirmed:
		s.Confirmed++
	case core.OutcomeReturned:
		s.Returned++
	case core.OutcomeNacked:
		s.Nacked++
	case core.OutcomeNotSent:
		s.NotSent++
	case core.OutcomeUnknown:
		s.Unknown++
	}
}
