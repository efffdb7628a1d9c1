package wire

import (
	"encoding/binary"
	"fmt"
)

// maxShortstr is the greatest length of a short string, whose length is one octet.
const maxShortstr = 255

// maxLong is the greatest length of a long string or table that is encoded. The wire has room for 4 GiB; with
// this, neither a length nor the size of a frame, which has three of them at most, can overflow.
const (
	maxLong       = 1 << 30
	reasonTooLong = "longer than 1 GiB"
)

const reasonLength = "longer than what is left of the frame"

// ValidateShortstr returns a [*FieldError] for the path name if s is longer than the 255 octets of an AMQP
// short string (names, keys, tags and the like).
func ValidateShortstr(name, s string) error {
	if len(s) > maxShortstr {
		return tooLong(name)
	}
	return nil
}

func tooLong(path string) *FieldError {
	return &FieldError{Path: path, Reason: fmt.Sprintf("longer than %d octets", maxShortstr)}
}

// appendShortstr appends s, which the caller knows to be short enough.
func appendShortstr(dst []byte, s string) []byte {
	return append(append(dst, byte(len(s))), s...)
}

func appendLongstr[S string | []byte](dst []byte, s S) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// cutShortstr splits b behind the short string at its front; s aliases b.
func cutShortstr(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) >= len(b) {
		return nil, nil, false
	}
	end := 1 + int(b[0])
	return b[1:end], b[end:], true
}

// cutLongstr splits b behind the long string, or table or array, at its front; s aliases b.
func cutLongstr(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n : 4+n], b[4+n:], true
}

// cut splits b behind its first n octets.
func cut(b []byte, n int) (s, rest []byte, ok bool) {
	if len(b) < n {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}
