package publisher

import (
	"crypto/rand"
	"strconv"
	"sync/atomic"
)

// idSource makes message ids: a random prefix for the publisher, and a number.
type idSource struct {
	prefix string
	last   atomic.Uint64
}

func (s *idSource) next() string {
	var b [64]byte
	return string(strconv.AppendUint(append(append(b[:0], s.prefix...), '-'), s.last.Add(1), 10))
}

func newPrefix() string { return rand.Text() }
