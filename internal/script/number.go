package script

import (
	"fmt"
	"strconv"
	"strings"
)

// number takes a number with the suffix of its type.
func (s *scanner) number() any {
	n := strings.IndexAny(s.rest, " ]}")
	if n < 0 {
		n = len(s.rest)
	}
	w := s.rest[:n]
	s.rest = s.rest[n:]
	last := len(w) - 1
	digits, kind := w[:last], w[last]
	if kind >= '0' && kind <= '9' {
		digits, kind = w, 0
	}
	switch kind {
	case 'f', 'd':
		f, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			s.fail(err)
		}
		if kind == 'f' {
			return float32(f)
		}
		return f
	}
	i, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		s.fail(err)
		return nil
	}
	v := integer(i, kind)
	if v == nil {
		s.fail(fmt.Errorf("unknown type of number %q", w))
	}
	return v
}

func integer(n int64, kind byte) any {
	switch kind {
	case 0:
		if n != int64(int32(n)) {
			return n // of a method's field; a table's value would say l
		}
		return int32(n)
	case 'b':
		return int8(n)
	case 's':
		return int16(n)
	case 'l':
		return n
	case 'B':
		return uint8(n)
	case 'u':
		return uint16(n)
	case 'i':
		return uint32(n)
	}
	return nil
}
