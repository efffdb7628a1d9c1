package core

import "github.com/warren-mq/warren/core/wire"

// tx is what a transactional channel remembers of its settlements: a rollback
// undoes them. It is guarded by the lock of its acks; a nil one remembers nothing.
type tx struct {
	txWork                     // since the last commit or rollback was sent
	ended  []txWork            // before each that was not answered yet, oldest first
	undone map[uint64]struct{} // settled, and rolled back
}

// txWork is what one transaction has settled.
type txWork struct {
	tags    []uint64 // singly, or the last of a multiple
	covered uint64   // the highest tag of a multiple
}

// highest returns up to where multiples have settled everything, and not been rolled back.
func (t *tx) highest() (tag uint64) {
	if t == nil {
		return 0
	}
	tag = t.covered
	for _, e := range t.ended {
		tag = max(tag, e.covered)
	}
	return tag
}

// note remembers that tag was settled.
func (t *tx) note(tag uint64) {
	if t != nil {
		t.tags = append(t.tags, tag)
		delete(t.undone, tag)
	}
}

// end begins again behind the commit or rollback that is being sent.
func (t *tx) end() {
	if t != nil {
		t.ended = append(t.ended, t.txWork)
		t.txWork = txWork{}
	}
}

// answered notes that the oldest end was answered by id. It returns up to where
// multiples have settled everything for good.
func (t *tx) answered(id wire.MethodID) (covered uint64) {
	if t == nil || len(t.ended) == 0 {
		return 0
	}
	over := t.ended[0]
	t.ended = t.ended[1:]
	if id != wire.MethodTxRollbackOk {
		return over.covered
	}
	if t.undone == nil {
		t.undone = map[uint64]struct{}{}
	}
	for _, tag := range over.tags {
		t.undone[tag] = struct{}{}
	}
	return 0
}

// txEnded goes on behind the answer to a commit or rollback. Whatever RabbitMQ
// gets before it has answered a commit, an ack too, costs the connection (504), so
// all of it has waited.
func (ch *Channel) txEnded(id wire.MethodID) error {
	if ch.acks.txEnded(id) {
		ch.conn.out.acksReady(ch)
	}
	if id != wire.MethodTxCommitOk {
		return nil
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.committing = false
	ch.changed.Wake()
	if ch.err != nil || ch.closing {
		return nil
	}
	return ch.sendDeferred()
}

// txEnded notes what the broker's answer to a commit or rollback means for the
// settlements before it. It reports whether the writer must be told of those behind it.
func (a *acks) txEnded(id wire.MethodID) (tell bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	tell = a.held && a.queued
	a.held = a.held && id != wire.MethodTxCommitOk
	a.covered = max(a.covered, a.tx.answered(id))
	return tell && !a.held
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
