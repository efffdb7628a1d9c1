package ledger

import "sync"

// chunk is how many records a shard allocates at a time.
const chunk = 4096

// shard holds the records of one handle. When each goroutine has a handle of its
// own, its lock is always free.
type shard struct {
	mu     sync.Mutex // guards the following
	full   [][]Record
	active []Record
}

func (s *shard) add(r Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.active) == cap(s.active) {
		if len(s.active) > 0 {
			s.full = append(s.full, s.active)
		}
		s.active = make([]Record, 0, chunk)
	}
	s.active = append(s.active, r)
}

// appendTo appends a copy of the shard's records.
func (s *shard) appendTo(dst []Record) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.full {
		dst = append(dst, c...)
	}
	return append(dst, s.active...)
}

func (s *shard) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.full)*chunk + len(s.active)
}
