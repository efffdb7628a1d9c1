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
	// Resumed: after a recovery, every consumer is established again (Report).
	Resumed
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
	// ConsumerRestored: a consumer is back after it or its connection was lost: once for
	// each time (Entity; Name is its tag).
	ConsumerRestored
	// ConsumerEnded: a consumer ended for good, not by the application (Entity, Err).
	ConsumerEnded
	// ChannelLost: a channel ended and is being opened again (Entity, Err).
	ChannelLost
	// ChannelRestored: a channel, or a publisher's, is open again after it or its
	// connection was lost, and calls use it; its consumers follow (Entity).
	ChannelRestored
	// Ended: the connection was closed or given up (Err).
	Ended
	// HandlerFailed: a consumer's handler returned an error or panicked (Entity, Err).
	HandlerFailed
	// HandlerSlow: a consumer has had a delivery for long that its handler has not settled (Entity,
	// Delay); RabbitMQ takes it away when its consumer timeout has passed.
	HandlerSlow
	// FailuresDropped: a consumer has begun with a queue that drops messages that fail often,
	// for good, or has met ten failures of one in a queue that may (Entity, Name is the queue; Err says what to set).
	FailuresDropped
	// Warning: something is taken as it is, but hardly as it was meant (Entity, Err; Count is how
	// many there are, of which Err joins the first).
	Warning
	// Recreated: a queue that should have survived was gone, with its messages (Entity).
	Recreated
	// SecretRenewed: the credentials of the open connection were replaced before they expired.
	SecretRenewed
	// SecretNotRenewed: they could not be (Err); it is tried again.
	SecretNotRenewed
	// NotRecorded: something was declared, but will not come back after a loss (Entity, Err).
	NotRecorded
	// QosDropped: the broker takes a channel's qos for the whole channel no more
	// (Entity, Err); it is not asked for again.
	QosDropped
	// TooLarge: a consumer was sent a message larger than [core.Config].MaxBody (Entity; Err is
	// a [*TooLargeError], which says what became of it).
	TooLarge
	// Dropped: this subscriber was too slow and missed events (Count).
	Dropped
)

var kindNames = [...]string{
	Opened: "opened", Lost: "lost", Retrying: "retrying", StageChanged: "stage changed", Recovered: "recovered", Resumed: "resumed",
	Quarantined: "quarantined", Restored: "restored", Renamed: "renamed", Blocked: "blocked", Unblocked: "unblocked",
	ConsumerLost: "consumer lost", ConsumerRestored: "consumer restored", ConsumerEnded: "consumer ended",
	ChannelLost: "channel lost", ChannelRestored: "channel restored", Ended: "ended",
	HandlerFailed: "handler failed", HandlerSlow: "handler slow", FailuresDropped: "failures dropped", Warning: "warning", Recreated: "recreated",
	SecretRenewed: "secret renewed", SecretNotRenewed: "secret not renewed", NotRecorded: "not recorded",
	QosDropped: "qos dropped", TooLarge: "too large", Dropped: "events dropped",
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
