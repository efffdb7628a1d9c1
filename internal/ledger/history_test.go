package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

// keep writes a short run into l.
func keep(l *Ledger) {
	p, c, wire := l.Publisher(), l.Consumer("q"), l.Conn()
	for range 3 * chunk {
		m := p.Next(7, 0)
		id, err := c.Deliver(m.Body, 1, false)
		c.End(id, 1, err)
		p.Result(m.ID, Confirmed)
	}
	wire.Close()
	l.Called("close", time.Second, 0, nil)
	l.Called("close", time.Second, 0, ErrCorrupt)
	f := l.Fault("cut")
	f.Effect()
	f.End()
}

// TestConnectionsThatAreGoneHoldNothing has many connections come and go, as an outage does.
func TestConnectionsThatAreGoneHoldNothing(t *testing.T) {
	l, err := Create(1, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	before := Stock()
	const conns = 200
	for range conns {
		l.Conn().Close()
	}
	after := Stock()
	if after.Files > before.Files || after.Heap > before.Heap+conns*4096 {
		t.Errorf("%+v, before them %+v", after, before)
	}
	if h, err := l.History(); err != nil || count(h)[ConnOpen] != conns {
		t.Errorf("%v, %v", count(h), err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// timeless returns events without their times.
func timeless(events []Event) []Event {
	events = slices.Clone(events)
	for i := range events {
		events[i].Time = 0
	}
	return events
}

func count(h History) (n map[Kind]int) {
	n = map[Kind]int{}
	h.each(all, func(r *Record) { n[r.Kind]++ })
	return n
}

func TestFilesHoldWhatMemoryHolds(t *testing.T) {
	dir := t.TempDir()
	inFiles, err := Create(1, dir)
	if err != nil {
		t.Fatal(err)
	}
	inMemory := New(1)
	keep(inFiles)
	keep(inMemory)
	want, err := inMemory.History()
	if err != nil {
		t.Fatal(err)
	}
	compare := func(name string, got History, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got.Names, want.Names) || !reflect.DeepEqual(count(got), count(want)) ||
			!slices.Equal(timeless(got.Events), timeless(want.Events)) {
			t.Errorf("%s: %v %v %v, %v; want %v %v %v", name, got.Names, count(got), got.Events, err, want.Names, count(want), want.Events)
		}
	}
	got, err := Read(dir)
	compare("files of a process that died here", got, err)
	got, err = inFiles.History()
	compare("the ledger", got, err)
	if err := inFiles.Close(); err != nil {
		t.Fatal(err)
	}
	got, err = Read(dir)
	compare("files of a ledger that was closed", got, err)
	copied := t.TempDir()
	err = want.Write(copied)
	if err == nil {
		got, err = Read(copied)
	}
	compare("a history that was written", got, err)
	if n := len(want.Events); n != 4 || want.Events[0].Error != ErrCorrupt.Error() || want.Events[3].Phase != "ended" {
		t.Errorf("events %+v", want.Events)
	}
}

func TestATornEventIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, eventsFile), []byte("{\"fault\":\"cut\"}\n{\"fau"), 0o600); err != nil {
		t.Fatal(err)
	}
	if h, err := Read(dir); err != nil || len(h.Events) != 1 || h.Events[0].Fault != "cut" {
		t.Errorf("%v, %v; want one event", h.Events, err)
	}
}

func TestATornFileIsReadUpToItsLastWholeRecord(t *testing.T) {
	dir := t.TempDir()
	r := Record{Kind: State, Time: 1}
	b := append(r.Append(nil), r.Append(nil)[:RecordSize-1]...)
	if err := os.WriteFile(filepath.Join(dir, "0000.ledger"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := Read(dir)
	if err != nil || count(h)[State] != 1 {
		t.Errorf("%v, %v; want one record", count(h), err)
	}
}

func TestAHistoryWithoutItsNamesIsChecked(t *testing.T) {
	dir := t.TempDir()
	l, err := Create(1, dir)
	if err != nil {
		t.Fatal(err)
	}
	keep(l)
	if err := errors.Join(l.Close(), os.Remove(filepath.Join(dir, namesFile))); err != nil {
		t.Fatal(err)
	}
	h, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r := h.Check(Rules{}, Facts{Drained: true}); r.Verdict() != Red || h.Queues[0] != "#0" || h.Faults[0] != "#0" {
		t.Errorf("verdict %s, names %v", r.Verdict(), h.Names)
	}
	if s := h.Summary(0); s.Unique != 3*chunk {
		t.Errorf("summary\n%v", s)
	}
}

func TestCreateNeedsItsDirectory(t *testing.T) {
	if _, err := Create(1, filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("no error")
	}
	if h, err := Read(filepath.Join(t.TempDir(), "absent")); err != nil || h.Parts != nil {
		t.Errorf("an absent directory: %v, %v; want an empty history", h, err)
	}
}
