package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Event is what a record of fixed size has no room for: a fault by its name, or the
// error of an API call that failed.
type Event struct {
	Time  time.Duration `json:"time"` // since the start of the run
	Fault string        `json:"fault,omitempty"`
	Phase string        `json:"phase,omitempty"` // of the fault: begun, effect, ended
	Call  string        `json:"call,omitempty"`
	Took  time.Duration `json:"took,omitempty"` // by the call
	Error string        `json:"error,omitempty"`
}

// eventsFile has an event a line.
const eventsFile = "events.jsonl"

func (l *Ledger) tell(e Event) {
	e.Time = l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// told returns the events so far.
func (l *Ledger) told() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// writeEvents appends the events that are not in the file yet.
func (l *Ledger) writeEvents() error {
	l.mu.Lock()
	fresh := l.events[l.written:]
	l.written = len(l.events)
	l.mu.Unlock()
	return appendEvents(l.dir, fresh)
}

func appendEvents(dir string, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	var lines bytes.Buffer
	out := json.NewEncoder(&lines)
	for i := range events {
		if err := out.Encode(&events[i]); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(filepath.Join(dir, eventsFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(lines.Bytes())
	return errors.Join(err, file.Sync(), file.Close())
}

// readEvents reads the whole lines of the file, if there is one.
func readEvents(dir string) (events []Event, err error) {
	b, err := os.ReadFile(filepath.Join(dir, eventsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range bytes.Lines(b) {
		var e Event
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // the process ended here
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return events, err
		}
		events = append(events, e)
	}
	return events, err
}
