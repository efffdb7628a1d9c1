package ledger

import "encoding/binary"

// Record is one event of a run. What its fields mean beyond their names depends
// on its [Kind], which says so.
type Record struct {
	Time  int64  // nanoseconds since the start of the run
	Seq   uint64 // attempt in the upper 16 bits, sequence number in the lower 48
	Tag   uint64
	Epoch uint32 // which opening of which channel; 0 in the application ledger
	Pub   uint32 // publisher
	CRC   uint32 // of the body
	Node  uint16
	Kind  Kind
	Flags Flags
}

// RecordSize is the size of a record in a file.
const RecordSize = 40

const seqBits = 48

func packSeq(seq uint64, attempt uint16) uint64 {
	return seq&(1<<seqBits-1) | uint64(attempt)<<seqBits
}

func (r *Record) seq() uint64     { return r.Seq & (1<<seqBits - 1) }
func (r *Record) attempt() uint16 { return uint16(r.Seq >> seqBits) }

// Kind says what happened.
type Kind uint8

// The kinds of the application ledger.
const (
	kindNone   Kind = iota // no record: the end of what a file holds
	PubInvoke              // the application asks to publish; Tag: key
	Result                 // the API says how that ended; Flags: outcome
	Deliver                // a handler starts; Tag: delivery tag, Node: queue, Flags: Redelivered, Corrupt, Foreign
	HandlerEnd             // it ends; Tag and Node as for Deliver, Flags: Failed
	State                  // Flags: Down when the client lost its connection; without it: it is ready again
)

// Flags are the bits of a record. They share an octet; which ones apply depends on the kind.
type Flags uint8

// Flags of Deliver, HandlerEnd and State.
const (
	Redelivered Flags = 1 << iota
	Corrupt           // the checksum differs
	Foreign           // not a message of this run
	Failed            // the handler returned an error, or panicked
	Down
)

// Append appends the record in its form in a file.
func (r *Record) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Time))
	dst = append(dst, byte(r.Kind), byte(r.Flags))
	dst = binary.LittleEndian.AppendUint16(dst, r.Node)
	dst = binary.LittleEndian.AppendUint32(dst, r.Epoch)
	dst = binary.LittleEndian.AppendUint32(dst, r.Pub)
	dst = binary.LittleEndian.AppendUint64(dst, r.Seq)
	dst = binary.LittleEndian.AppendUint64(dst, r.Tag)
	return binary.LittleEndian.AppendUint32(dst, r.CRC)
}

// decodeRecord reads the record in b, which holds [RecordSize] bytes.
func decodeRecord(b []byte) Record {
	_ = b[RecordSize-1]
	return Record{
		Time:  int64(binary.LittleEndian.Uint64(b)),
		Kind:  Kind(b[8]),
		Flags: Flags(b[9]),
		Node:  binary.LittleEndian.Uint16(b[10:]),
		Epoch: binary.LittleEndian.Uint32(b[12:]),
		Pub:   binary.LittleEndian.Uint32(b[16:]),
		Seq:   binary.LittleEndian.Uint64(b[20:]),
		Tag:   binary.LittleEndian.Uint64(b[28:]),
		CRC:   binary.LittleEndian.Uint32(b[36:]),
	}
}
