package ledger

import (
	"slices"
	"sync"
	"time"
)

// Ledger is the record of one run. Its methods are safe for concurrent use.
type Ledger struct {
	run   uint64
	start time.Time
	notes shard // of the ledger itself

	mu         sync.Mutex // guards the following
	shards     []*shard
	publishers uint32
	queues     []string // a queue's number is its index
}

// New returns an empty ledger. Messages of other runs are foreign to it.
func New(run uint64) *Ledger {
	l := &Ledger{run: run, start: time.Now()}
	l.shards = []*shard{&l.notes}
	return l
}

func (l *Ledger) now() int64 { return int64(time.Since(l.start)) }

func (l *Ledger) newShard() *shard {
	s := &shard{}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shards = append(l.shards, s)
	return s
}

// queue returns the number of the queue of that name.
func (l *Ledger) queue(name string) uint16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.queues, name)
	if i < 0 {
		i = len(l.queues)
		l.queues = append(l.queues, name)
	}
	return uint16(i)
}

// Down notes that the client lost its connection.
func (l *Ledger) Down() { l.notes.add(Record{Time: l.now(), Kind: State, Flags: Down}) }

// Up notes that the client is ready, for the first time or again.
func (l *Ledger) Up() { l.notes.add(Record{Time: l.now(), Kind: State}) }

// records returns all records, handle by handle, each in the order of its calls.
func (l *Ledger) records() []Record {
	l.mu.Lock()
	shards := slices.Clone(l.shards)
	l.mu.Unlock()
	n := 0
	for _, s := range shards {
		n += s.len()
	}
	records := make([]Record, 0, n)
	for _, s := range shards {
		records = s.appendTo(records)
	}
	return records
}
