package ledger

import "testing"

func TestRecordRoundTrip(t *testing.T) {
	r := Record{
		Time: 1<<62 + 1, Seq: pack(1<<47+9, 65535), Tag: 1<<63 + 2, Epoch: 1<<31 + 3, Pub: 1<<31 + 4,
		CRC: 1<<31 + 5, Node: 1<<15 + 6, Kind: HandlerEnd, Flags: 0x81,
	}
	b := r.Append(nil)
	if len(b) != RecordSize {
		t.Fatalf("%d bytes, want %d", len(b), RecordSize)
	}
	if got := decodeRecord(b); got != r {
		t.Errorf("got %+v, want %+v", got, r)
	}
	if r.seq() != 1<<47+9 || r.attempt() != 65535 {
		t.Errorf("sequence %d, attempt %d", r.seq(), r.attempt())
	}
}
