package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/warren-mq/warren/core/wire"
)

// ID is the identity of one attempt to publish one message. It stands at the
// beginning of the body and in the header [Header].
type ID struct {
	Run       uint64 // which run of the program
	Publisher uint32 // from 1
	Seq       uint64 // dense from 1 within the publisher; 48 bits
	Attempt   uint16 // from 1; counts the application's attempts, not those of the client below it
	Key       uint32 // whatever decides about routing or order; the application's choice
}

// String returns the identity in the form used in reports: publisher, sequence and attempt.
func (id ID) String() string { return fmt.Sprintf("p%d/%d#%d", id.Publisher, id.Seq, id.Attempt) }

// Header is the name of the header that repeats the first [PrefixSize] bytes of the body.
const Header = "x-ledger"

// PrefixSize is the size of the identity and checksum at the beginning of a body.
const PrefixSize = 36

// The prefix: magic, CRC32C of all that follows it, run, seq, publisher, attempt, key.
const (
	magic    = "WLG1"
	crcAt    = len(magic)
	identity = crcAt + 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	// ErrForeign: the body does not begin with an identity.
	ErrForeign = errors.New("ledger: not a message of a ledger")
	// ErrCorrupt: the body is not the one that was published, or its header is another's.
	ErrCorrupt = errors.New("ledger: checksum differs")
)

// AppendBody appends the body of the message, size bytes but never less than
// [PrefixSize]. What follows the prefix depends on the sequence number alone.
func (id ID) AppendBody(dst []byte, size int) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, id.Run)
	dst = binary.LittleEndian.AppendUint64(dst, id.Seq)
	dst = binary.LittleEndian.AppendUint32(dst, id.Publisher)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(id.Attempt))
	dst = binary.LittleEndian.AppendUint32(dst, id.Key)
	for i := PrefixSize; i < size; i++ {
		dst = append(dst, byte(id.Seq)+byte(i))
	}
	body := dst[start:]
	binary.LittleEndian.PutUint32(body[crcAt:], crc32.Checksum(body[identity:], castagnoli))
	return dst
}

// Decode returns the identity in a body and the checksum of the whole body. The
// error is [ErrForeign] or [ErrCorrupt]; with the latter the identity is what the
// body claims.
func Decode(body []byte) (ID, uint32, error) {
	id, crc, err := decodePrefix(body)
	if err == nil && crc != crc32.Checksum(body[identity:], castagnoli) {
		err = ErrCorrupt
	}
	return id, crc, err
}

// decodePrefix reads the identity without checking the body.
func decodePrefix(b []byte) (id ID, crc uint32, err error) {
	if len(b) < PrefixSize || string(b[:crcAt]) != magic {
		return ID{}, 0, ErrForeign
	}
	return ID{
		Run:       binary.LittleEndian.Uint64(b[8:]),
		Seq:       binary.LittleEndian.Uint64(b[16:]),
		Publisher: binary.LittleEndian.Uint32(b[24:]),
		Attempt:   uint16(binary.LittleEndian.Uint32(b[28:])),
		Key:       binary.LittleEndian.Uint32(b[32:]),
	}, binary.LittleEndian.Uint32(b[crcAt:]), nil
}

// Headers returns a new table with the identity of the message whose body is body.
func Headers(body []byte) wire.Table {
	return wire.Table{Header: append([]byte(nil), body[:PrefixSize]...)}
}
