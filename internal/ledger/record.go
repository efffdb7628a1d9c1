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

// lowBits is the size of the lower part of a field that holds two numbers.
const lowBits = 48

func pack(low uint64, high uint16) uint64 { return low&(1<<lowBits-1) | uint64(high)<<lowBits }
func low(v uint64) uint64                 { return v & (1<<lowBits - 1) }
func high(v uint64) uint16                { return uint16(v >> lowBits) }

func (r *Record) seq() uint64     { return low(r.Seq) }
func (r *Record) attempt() uint16 { return high(r.Seq) }

// Kind says what happened.
type Kind uint8

// The kinds. The first group is the application ledger: what the API said. The
// second is the wire ledger: what passed on a connection.
const (
	kindNone   Kind = iota // no record: the end of what a file holds
	PubInvoke              // the application asks to publish; Tag: key, Node: route, 0 if it is not told
	Result                 // the API says how that ended; Flags: an [Outcome]
	Deliver                // a handler starts; Tag: delivery tag, in the upper 16 bits the route or 0; Node: queue, Flags: Redelivered, Corrupt, Foreign, Dead
	HandlerEnd             // it ends; Tag and Node as for Deliver, Flags: Failed
	State                  // Flags: Down when the client lost its connection; without it: it is ready again
	Call                   // an API call ended; Node: name, Tag: how long it took, Seq: how long it may take
	Nemesis                // Node: fault, Flags: Begun, Effect, Ended
	LossWindow             // messages may be lost; Node: queue, Flags: Begun, Ended

	ConnOpen      // a client connects; Tag: connection
	EpochOpen     // channel.open; Tag: connection, in the upper 16 bits the channel
	EpochClose    // the channel ends; Tag: reply code, Seq: for how long nothing had proved that the broker reads, Flags: ByServer, Lost
	ConfirmSelect // confirm.select
	WirePub       // to the broker; Tag: publish number in confirm mode, Node: route, Flags: Mandatory, Corrupt, Foreign
	Confirm       // the broker's ack or nack; Tag, Flags: Multiple, Negative
	WireReturn    // basic.return; Tag: reply code
	Qos           // Tag: prefetch
	Consume       // consume-ok; Tag: consumer, Node: queue, Flags: NoAck
	Cancel        // the consumer ends; Tag: consumer, Flags: ByServer
	WireDeliver   // Tag: delivery tag, in the upper 16 bits the consumer; Node: route, Flags: as Deliver, Dead, NoAck
	WireSettle    // the client's ack, nack or reject; Tag, Flags: Multiple, Negative, Requeue
	Blocked       // connection.blocked; without Begun: unblocked
	kinds
)

var kindNames = [kinds]string{
	"none", "invoke", "result", "handle", "handled", "state", "call", "fault", "loss window",
	"connect", "channel.open", "channel end", "confirm.select", "publish", "confirm", "return", "qos", "consume",
	"cancel", "deliver", "settle", "blocked",
}

// String returns the kind in a word or two.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "invalid"
}

// Flags are the bits of a record. They share an octet; which ones apply depends on the kind.
type Flags uint8

// Flags of deliveries and publishes.
const (
	Redelivered Flags = 1 << iota
	Corrupt           // the checksum differs, or the header
	Foreign           // not a message of this run
	Failed            // the handler or call returned an error
	Dead              // dead-lettered on its way
	NoAck             // needs no ack
	Mandatory
)

// Flags of confirms and settlements.
const (
	Multiple Flags = 1 << iota
	Negative       // nack or reject
	Requeue
)

// Flags of the other kinds.
const (
	Down Flags = 1 << iota
	Begun
	Effect
	Ended
	ByServer
	Lost // without a word: the connection broke
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
