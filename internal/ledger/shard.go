package ledger

import (
	"errors"
	"os"
	"slices"
	"sync"
)

// chunk is how many records a shard allocates at a time at most, firstChunk at first.
const (
	firstChunk = 64
	chunk      = 4096
)

// shard holds the records of one handle, in memory or in a file. When each
// goroutine has a handle of its own, its lock is always free.
type shard struct {
	mu     sync.Mutex // guards the following
	full   [][]Record
	active []Record
	file   *os.File // nil: in memory
	closed bool     // the file is
	err    error    // the first one of the file
}

func newShard(path string) (*shard, error) {
	s := &shard{}
	if path == "" {
		return s, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return s, err
	}
	s.file = file
	return s, nil
}

func (s *shard) add(r Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.active) == cap(s.active) {
		s.makeRoom()
	}
	s.active = append(s.active, r)
}

// makeRoom is called with s.mu held. That is the one place where it is held over
// a write: the next record of this handle must follow these in the file.
func (s *shard) makeRoom() {
	next := make([]Record, 0, min(max(2*cap(s.active), firstChunk), chunk))
	switch {
	case s.file == nil && s.active != nil:
		s.full = append(s.full, s.active)
	case s.file != nil && cap(s.active) == chunk:
		s.spill()
		return
	case s.file != nil:
		next = append(next, s.active...)
	}
	s.active = next
}

// spill writes the active records to the file; s.mu is held.
func (s *shard) spill() {
	if len(s.active) == 0 {
		return
	}
	b := make([]byte, 0, len(s.active)*RecordSize)
	for i := range s.active {
		b = s.active[i].Append(b)
	}
	_, err := s.file.Write(b)
	s.err = errors.Join(s.err, err)
	s.active = s.active[:0]
}

// sync has everything on disk before it returns.
func (s *shard) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil || s.closed {
		return s.err
	}
	s.spill()
	return errors.Join(s.err, s.file.Sync())
}

// close ends the file, if there is one: no record comes any more. When the disk has
// them is left to the system: a connection may end at any time, and must not wait.
func (s *shard) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil && !s.closed {
		s.spill()
		s.err = errors.Join(s.err, s.file.Close())
		s.active, s.closed = nil, true
	}
	return s.err
}

// records returns the shard's records in parts that will not change.
func (s *shard) records() ([][]Record, error) {
	if err := s.sync(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return append(slices.Clone(s.full), s.active[:len(s.active):len(s.active)]), nil
	}
	all, err := readRecords(s.file.Name())
	return [][]Record{all}, err
}
