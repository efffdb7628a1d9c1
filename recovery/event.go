package recovery

import (
	"fmt"
	"time"
)

// Kind says what an [Event] is about.
type Kind uint8

// The kinds of events.
const (
	// Opened: a connection is open (Endpoint, Attempt).
	Opened Kind = iota + 1
	// Lost: the connection is gone (Err).
	Lost
	// Retrying: an attempt failed (Err); the next follows after Delay.
	Retrying
	// StageChanged: the state has changed (State).
	StageChanged
	// Recovered: a lost connection is replaced and its topology replayed (Report).
	Recovered
	// Quarantined: an entity could not be declared (Entity, Err); it is tried again.
	Quarantined
	// Restored: a quarantined entity is declared after all (Entity).
	Restored
	// Renamed: a server-named queue came back under another name (Entity, Name).
	Renamed
	// Blocked: the broker takes no publishes for now (Err holds its reason).
	Blocked
	// Unblocked: it takes publishes again.
	Unblocked
	// ConsumerLost: a consumer ended and is being started again (Entity, Err).
	ConsumerLost
	// ChannelLost: a channel ended and is being opened again (Entity, Err).
	ChannelLost
	// Ended: the connection was closed or given up (Err).
	Ended
	// HandlerFailed: a consumer's handler returned an error or panicked (Entity, Err).
	HandlerFailed
	// Dropped: this subscriber was too slow and missed events (Count).
	Dropped
)

var kindNames = [...]string{
	"", "opened", "lost", "retrying", "stage changed", "recovered", "quarantined", "restored", "renamed", "blocked",
	"unblocked", "consumer lost", "channel lost", "ended", "handler failed", "events dropped",
}

// String returns the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is something that happened to a connection. Which fields are set
// depends on the kind. No field ever holds a secret.
type Event struct {
	Kind       Kind
	Time       time.Time
	Connection string
	Endpoint   string // host:port
	Attempt    int
	Count      int
	Delay      time.Duration
	Entity     string
	Name       string
	Err        error
	State      State
	Report     *Report
}

// Report is one recovery, from the loss to publish-ready.
type Report struct {
	Cause    error
	Attempts int
	Endpoint string
	Lost     time.Time
	Dial     time.Duration            // from the loss to an open connection
	Phases   map[string]time.Duration // replay, by phase
	Total    time.Duration
	Declared int
	Failed   []Failure
	Renamed  map[string]string // old queue name → new
}

// String returns the report in one line.
func (r *Report) String() string {
	return fmt.Sprintf("recovered from %v after %s: %d attempts, %d declared, %d failed, %d renamed",
		r.Cause, r.Total.Round(time.Millisecond), r.Attempts, r.Declared, len(r.Failed), len(r.Renamed))
}
