package publisher

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

// idSource makes message ids: a random prefix and a number. It makes them by
// the chunk, which is one allocation for many. The publisher's lock guards it.
type idSource struct {
	prefix string
	last   uint32
	chunk  string // ids made and not yet given out
}

const (
	prefixSize = 16                 // of rand.Text: 80 random bits
	idSize     = prefixSize + 1 + 8 // "-" and the number in hexadecimal digits
	chunkIDs   = 64
)

func (s *idSource) next() string {
	if s.chunk == "" {
		s.fill()
	}
	id := s.chunk[:idSize]
	s.chunk = s.chunk[idSize:]
	return id
}

func (s *idSource) fill() {
	b := make([]byte, 0, chunkIDs*idSize)
	for range chunkIDs {
		if s.last++; s.last == 1 || s.last == 0 { // the first ever, and the first after the last
			s.prefix = rand.Text()[:prefixSize]
		}
		b = append(append(b, s.prefix...), '-')
		b = hex.AppendEncode(b, binary.BigEndian.AppendUint32(nil, s.last))
	}
	s.chunk = string(b)
}
