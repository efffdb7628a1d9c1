package ledger

import "errors"

// Fault is something that a scenario does to a run, from its begin to its end. One
// that shows no effect makes the run inconclusive.
type Fault struct {
	ledger *Ledger
	name   string
	number uint16
}

// Fault notes that the fault of that name begins; a name may come again. Everything
// noted before is on disk when it returns.
func (l *Ledger) Fault(name string) *Fault {
	f := &Fault{ledger: l, name: name, number: l.number(&l.names.Faults, name)}
	f.note(Begun, "begun")
	f.boundary()
	return f
}

// Effect notes that the fault was seen to work: a connection died, a frame was
// dropped, an alarm was raised.
func (f *Fault) Effect() { f.note(Effect, "effect") }

// End notes that the fault is healed. Everything noted before is on disk when it returns.
func (f *Fault) End() {
	f.note(Ended, "ended")
	f.boundary()
}

func (f *Fault) note(flag Flags, phase string) {
	f.ledger.tell(Event{Fault: f.name, Phase: phase})
	f.ledger.note(Record{Kind: Nemesis, Node: f.number, Flags: flag})
}

// boundary puts the history on disk; Close tells when that failed.
func (f *Fault) boundary() {
	f.ledger.failed(f.ledger.Sync())
}

// failed has Close tell of an error.
func (l *Ledger) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
}

// MayLose declares that the queue of that name may lose what is in it or on its way
// to it from now on until end is called: it is deleted, purged, or its messages
// expire. Nothing else excuses a loss.
func (l *Ledger) MayLose(queue string) (end func()) {
	n := l.queue(queue)
	l.note(Record{Kind: LossWindow, Node: n, Flags: Begun})
	return func() { l.note(Record{Kind: LossWindow, Node: n, Flags: Ended}) }
}
