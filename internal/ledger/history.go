package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// History is what a run has left: records, in parts, and the names that they refer
// to by number. The records of one handle stand in the order of its calls.
type History struct {
	Parts [][]Record
	Names
	Events []Event

	held []set // kinds that each part holds; nil: not looked yet
}

// set is a set of kinds.
type set uint32

func of(kinds ...Kind) (s set) {
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// all is every kind, application those of the application ledger.
const (
	all         = ^set(0)
	application = set(1)<<ConnOpen - 1
)

// each calls f with every record of the parts that hold any of the kinds: a part comes
// from one handle, so it holds few.
func (h *History) each(kinds set, f func(r *Record)) {
	h.look()
	for n, part := range h.Parts {
		if h.held[n]&kinds == 0 {
			continue
		}
		for i := range part {
			f(&part[i])
		}
	}
}

// look finds out what each part holds, once. Names that a process did not live to
// write down are numbers.
func (h *History) look() {
	if len(h.held) == len(h.Parts) {
		return
	}
	h.held = make([]set, len(h.Parts))
	for n, part := range h.Parts {
		for i := range part {
			h.held[n] |= 1 << (part[i].Kind % 32)
			h.complete(&part[i])
		}
	}
}

func (h *History) complete(r *Record) {
	var names *[]string
	switch r.Kind {
	case Deliver, HandlerEnd, Consume, LossWindow:
		names = &h.Queues
	case Nemesis:
		names = &h.Faults
	case Call:
		names = &h.Calls
	default:
		return
	}
	for len(*names) <= int(r.Node) {
		*names = append(*names, fmt.Sprintf("#%d", len(*names)))
	}
}

// Names are what records refer to by number: the index.
type Names struct {
	Run    uint64
	Queues []string
	Faults []string
	Calls  []string
}

const (
	namesFile  = "names.json"
	shardFiles = "*.ledger"
)

// Read returns the history that a ledger made by [Create] has written to dir, also
// if its process ended in the middle: then up to the last boundary of a fault at least.
func Read(dir string) (History, error) {
	var h History
	names, err := os.ReadFile(filepath.Join(dir, namesFile))
	if err == nil {
		err = json.Unmarshal(names, &h.Names)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	if h.Events, err = readEvents(dir); err != nil {
		return h, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, shardFiles))
	if err != nil {
		return h, err
	}
	slices.Sort(paths)
	for _, path := range paths {
		records, err := readRecords(path)
		if err != nil {
			return h, err
		}
		h.Parts = append(h.Parts, records)
	}
	return h, nil
}

// readRecords reads the whole records of a file.
func readRecords(path string) ([]Record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	records := make([]Record, 0, len(b)/RecordSize)
	for ; len(b) >= RecordSize && Kind(b[8]) != kindNone; b = b[RecordSize:] {
		records = append(records, decodeRecord(b))
	}
	return records, nil
}

// writeNames replaces the file of names as a whole.
func writeNames(dir string, n Names) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	next := filepath.Join(dir, namesFile+".next")
	if err := os.WriteFile(next, b, 0o644); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(dir, namesFile))
}
