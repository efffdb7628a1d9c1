package ledger

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Ledger is the record of one run. Its methods are safe for concurrent use.
type Ledger struct {
	run   uint64
	dir   string // of the files; empty: in memory
	clock func() time.Duration
	notes *shard // of the ledger itself
	text  *wireText

	mu         sync.Mutex // guards the following
	names      Names
	invokes    []*shard // copied after the others: no event is seen without its publish
	shards     []*shard // the others
	publishers uint32
	conns      uint32
	epochs     uint32
	events     []Event
	written    int   // of events, to their file
	err        error // the first failure to create a file
}

// New returns an empty ledger in memory. Messages of other runs are foreign to it.
func New(run uint64) *Ledger {
	start := time.Now()
	l := &Ledger{run: run, names: Names{Run: run}, clock: func() time.Duration { return time.Since(start) }}
	l.notes = l.newShard()
	return l
}

// Create returns an empty ledger in new files of dir, which must exist. They are on
// disk at every begin and end of a fault, so that the history outlives the process;
// that of a connection that is gone when the system puts it there.
// The caller ends it with Close.
func Create(run uint64, dir string) (*Ledger, error) {
	l := New(run)
	l.dir, l.shards = dir, nil
	l.notes = l.newShard()
	var err error
	l.text, err = newWireText(dir)
	return l, errors.Join(l.err, err, l.Sync())
}

func (l *Ledger) now() int64 { return int64(l.clock()) }

func (l *Ledger) newShard() *shard {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.openShard()
	l.shards = append(l.shards, s)
	return s
}

// openShard is called with l.mu held; a handle is made once per goroutine.
func (l *Ledger) openShard() *shard {
	path := ""
	if l.dir != "" {
		path = filepath.Join(l.dir, fmt.Sprintf("%04d.ledger", len(l.shards)+len(l.invokes)))
	}
	s, err := newShard(path)
	l.err = errors.Join(l.err, err)
	return s
}

// number returns the index of name in names, to which it is added if it is new.
func (l *Ledger) number(names *[]string, name string) uint16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(*names, name)
	if i < 0 {
		i = len(*names)
		*names = append(*names, name)
	}
	return uint16(i)
}

func (l *Ledger) queue(name string) uint16 { return l.number(&l.names.Queues, name) }

// note adds a record of the ledger itself.
func (l *Ledger) note(r Record) {
	r.Time = l.now()
	l.notes.add(r)
}

// Down notes that the client lost its connection.
func (l *Ledger) Down() { l.note(Record{Kind: State, Flags: Down}) }

// Up notes that the client is ready, for the first time or again.
func (l *Ledger) Up() { l.note(Record{Kind: State}) }

// Called notes an API call that has returned after taking took, within the limit
// that its context or its deadline set; 0 if there is none.
func (l *Ledger) Called(name string, took, limit time.Duration, err error) {
	r := Record{Kind: Call, Node: l.number(&l.names.Calls, name), Tag: uint64(took), Seq: uint64(limit)}
	if err != nil {
		r.Flags = Failed
		l.tell(Event{Call: name, Took: took, Error: err.Error()})
	}
	l.note(r)
}

// Sync has all that was noted on disk before it returns.
func (l *Ledger) Sync() error {
	shards, names := l.all()
	errs := []error{l.failure()}
	if l.dir != "" {
		errs = append(errs, writeNames(l.dir, names), l.writeEvents())
	}
	for _, s := range shards {
		errs = append(errs, s.sync())
	}
	return errors.Join(errs...)
}

// Close ends the files of a ledger made by [Create].
func (l *Ledger) Close() error {
	err := l.Sync()
	shards, _ := l.all()
	for _, s := range shards {
		err = errors.Join(err, s.close())
	}
	return errors.Join(err, l.text.close())
}

func (l *Ledger) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// all returns the shards in the order in which to copy them, and the names.
func (l *Ledger) all() ([]*shard, Names) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.names
	n.Queues, n.Faults, n.Calls = slices.Clone(n.Queues), slices.Clone(n.Faults), slices.Clone(n.Calls)
	return slices.Concat(l.shards, l.invokes), n
}

// History returns what the ledger holds now.
func (l *Ledger) History() (History, error) {
	shards, names := l.all()
	h := History{Names: names, Events: l.told()}
	for _, s := range shards {
		records, err := s.records()
		if err != nil {
			return h, err
		}
		h.Parts = append(h.Parts, records...)
	}
	return h, nil
}
