package ledger

import (
	"bufio"
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
	buffer *bufio.Writer
	err    error // the first one of the file
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
	s.file, s.buffer = file, bufio.NewWriterSize(file, chunk*RecordSize)
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
	switch {
	case s.active == nil:
	case s.file != nil:
		s.spill()
		return
	default:
		s.full = append(s.full, s.active)
	}
	s.active = make([]Record, 0, min(max(2*cap(s.active), firstChunk), chunk))
}

// spill moves the active records to the file's buffer; s.mu is held.
func (s *shard) spill() {
	b := make([]byte, 0, RecordSize)
	for i := range s.active {
		b = s.active[i].Append(b[:0])
		if _, err := s.buffer.Write(b); err != nil {
			s.err = errors.Join(s.err, err)
			break
		}
	}
	s.active = s.active[:0]
}

// sync has everything on disk before it returns.
func (s *shard) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	s.spill()
	return errors.Join(s.err, s.buffer.Flush(), s.file.Sync())
}

func (s *shard) close() error {
	err := s.sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
	}
	return err
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
