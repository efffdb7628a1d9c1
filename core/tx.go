package core

import "github.com/warren-mq/warren/core/wire"

// tx is what a transactional channel remembers of its settlements: a rollback
// undoes them. It is guarded by the lock of its acks; a nil one remembers nothing.
type tx struct {
	tags   []uint64            // settled since the last commit or rollback was sent
	ended  [][]uint64          // settled before each that was not answered yet, oldest first
	undone map[uint64]struct{} // settled, and rolled back
}

// note remembers that tag was settled.
func (t *tx) note(tag uint64) {
	if t != nil {
		t.tags = append(t.tags, tag)
		delete(t.undone, tag)
	}
}

// end begins anew behind the commit or rollback that is being sent.
func (t *tx) end() {
	if t != nil {
		t.ended = append(t.ended, t.tags)
		t.tags = nil
	}
}

// answered notes that the oldest end was answered by id.
func (t *tx) answered(id wire.MethodID) {
	if t == nil || len(t.ended) == 0 {
		return
	}
	tags := t.ended[0]
	t.ended = t.ended[1:]
	if id != wire.MethodTxRollbackOk {
		return
	}
	if t.undone == nil {
		t.undone = map[uint64]struct{}{}
	}
	for _, tag := range tags {
		t.undone[tag] = struct{}{}
	}
}

// txEnded notes what the broker's answer to a commit or rollback means for
// the settlements before it.
func (a *acks) txEnded(id wire.MethodID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tx.answered(id)
}

// reopened reports, once for each rollback, that tag is unsettled again.
func (a *acks) reopened(tag uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tx == nil {
		return false
	}
	_, undone := a.tx.undone[tag]
	delete(a.tx.undone, tag)
	return undone
}
