package ledger

import (
	"testing"
	"time"
)

// benchmarkLedger returns the ledger of a run of n messages, both sides of it: a
// window of 100 publishes confirmed together, deliveries acknowledged by the hundred.
func benchmarkLedger(l *Ledger, n int) {
	const batch = 100
	p, c := l.Publisher(), l.Consumer("q")
	out, in := l.Conn(), l.Conn()
	note := func(conn *Conn, r Record) { conn.add(r) }
	note(out, Record{Kind: EpochOpen, Epoch: 1})
	note(out, Record{Kind: ConfirmSelect, Epoch: 1})
	note(in, Record{Kind: EpochOpen, Epoch: 2})
	note(in, Record{Kind: Qos, Epoch: 2, Tag: 2 * batch})
	note(in, Record{Kind: Consume, Epoch: 2, Tag: 1, Node: l.queue("q")})
	for done := 0; done < n; done += batch {
		var sent [batch]Message
		for i := range sent {
			sent[i] = p.Next(0, 100)
			_, crc, _ := decodePrefix(sent[i].Body)
			note(out, Record{Kind: WirePub, Epoch: 1, Pub: 1, Seq: pack(sent[i].ID.Seq, 1), CRC: crc, Tag: uint64(done + i + 1)})
		}
		note(out, Record{Kind: Confirm, Epoch: 1, Tag: uint64(done + batch), Flags: Multiple})
		for i, m := range sent {
			p.Result(m.ID, Confirmed)
			_, crc, _ := decodePrefix(m.Body)
			note(in, Record{Kind: WireDeliver, Epoch: 2, Pub: 1, Seq: pack(m.ID.Seq, 1), CRC: crc, Tag: pack(uint64(done+i+1), 1)})
			id, err := c.Deliver(m.Body, uint64(done+i+1), false)
			c.End(id, uint64(done+i+1), err)
		}
		note(in, Record{Kind: WireSettle, Epoch: 2, Tag: uint64(done + batch), Flags: Multiple})
	}
}

func benchmarkRules() (Rules, Facts) {
	return Rules{
		Queues: []string{"q"}, Ordered: []string{"q"}, Replay: true, Patient: true, Prefetch: map[string]int{"q": 200},
		Consumers: map[string]int{"q": 1}, MaxPending: 200, Deadline: time.Minute,
	}, Facts{Drained: true}
}

// BenchmarkCheck checks a run of a million messages by all rules.
func BenchmarkCheck(b *testing.B) {
	l := New(1)
	benchmarkLedger(l, 1_000_000)
	rules, facts := benchmarkRules()
	b.ReportAllocs()
	for b.Loop() {
		if r, err := l.Check(rules, facts); err != nil || r.Verdict() != Green {
			b.Fatalf("%v\n%s", err, r)
		}
	}
}

// BenchmarkWrite writes the records of one message, both sides of it, in memory.
func BenchmarkWrite(b *testing.B) {
	l := New(1)
	b.ReportAllocs()
	b.ResetTimer()
	benchmarkLedger(l, b.N)
}
