package recovery

import (
	"fmt"
	"time"
)

// EventKind says what an [Event] is about.
type EventKind uint8

// The kinds of events.
const (
	// EventOpened: a connection is open (Endpoint, Attempt).
	EventOpened EventKind = iota + 1
	// EventLost: the connection is gone (Err).
	EventLost
	// EventRetrying: an attempt failed (Err); the next follows after Delay.
	EventRetrying
	// EventStageChanged: the state has changed (State).
	EventStageChanged
	// EventRecovered: a lost connection is replaced and its topology replayed (Report).
	EventRecovered
	// EventResumed: after a recovery, every consumer is established again (Report).
	EventResumed
	// EventQuarantined: an entity could not be declared (Entity, Err); it is tried again.
	EventQuarantined
	// EventRestored: a quarantined entity is declared after all (Entity).
	EventRestored
	// EventRenamed: a server-named queue came back under another name (Entity, Name).
	EventRenamed
	// EventBlocked: the broker takes no publishes for now (Err holds its reason).
	EventBlocked
	// EventUnblocked: it takes publishes again.
	EventUnblocked
	// EventConsumerLost: a consumer ended and is being started again (Entity, Err).
	EventConsumerLost
	// EventConsumerRestored: a consumer is back after it or its connection was lost: once for
	// each time (Entity; Name is its tag).
	EventConsumerRestored
	// EventConsumerEnded: a consumer ended for good, not by the application (Entity, Err).
	EventConsumerEnded
	// EventChannelLost: a channel ended and is being opened again (Entity, Err).
	EventChannelLost
	// EventChannelRestored: a channel, or a publisher's, is open again after it or its
	// connection was lost, and calls use it; its consumers follow (Entity).
	EventChannelRestored
	// EventEnded: the connection was closed or given up (Err).
	EventEnded
	// EventHandlerFailed: a consumer's handler returned an error or panicked (Entity, Err).
	EventHandlerFailed
	// EventHandlerSlow: a consumer has had a delivery for long that its handler has not settled (Entity,
	// Delay); RabbitMQ takes it away when its consumer timeout has passed.
	EventHandlerSlow
	// EventFailuresDropped: a consumer has begun with a queue that drops messages that fail often,
	// for good, or has met ten failures of one in a queue that may (Entity, Name is the queue; Err says what to set).
	EventFailuresDropped
	// EventWarning: something is taken as it is, but hardly as it was meant (Entity, Err; Count is how
	// many there are; Err joins the first of them).
	EventWarning
	// EventRecreated: a queue that should have survived was gone, with its messages (Entity).
	EventRecreated
	// EventSecretRenewed: the credentials of the open connection were replaced before they expired.
	EventSecretRenewed
	// EventSecretNotRenewed: they could not be (Err); it is tried again.
	EventSecretNotRenewed
	// EventNotRecorded: something was declared, but will not come back after a loss (Entity, Err).
	EventNotRecorded
	// EventQosDropped: the broker takes a channel's qos for the whole channel no more
	// (Entity, Err); it is not asked for again.
	EventQosDropped
	// EventTooLarge: a consumer was sent a message larger than [core.Config].MaxBody (Entity; Err is
	// a [*TooLargeError], which says what became of it).
	EventTooLarge
	// EventDropped: this subscriber was too slow and missed events (Count).
	EventDropped
)

var kindNames = [...]string{
	EventOpened: "opened", EventLost: "lost", EventRetrying: "retrying",
	EventStageChanged: "stage changed", EventRecovered: "recovered", EventResumed: "resumed",
	EventQuarantined: "quarantined", EventRestored: "restored", EventRenamed: "renamed",
	EventBlocked: "blocked", EventUnblocked: "unblocked", EventConsumerLost: "consumer lost",
	EventConsumerRestored: "consumer restored", EventConsumerEnded: "consumer ended", EventChannelLost: "channel lost",
	EventChannelRestored: "channel restored", EventEnded: "ended", EventHandlerFailed: "handler failed",
	EventHandlerSlow: "handler slow", EventFailuresDropped: "failures dropped", EventWarning: "warning",
	EventRecreated: "recreated", EventSecretRenewed: "secret renewed", EventSecretNotRenewed: "secret not renewed",
	EventNotRecorded: "not recorded", EventQosDropped: "qos dropped", EventTooLarge: "too large",
	EventDropped: "events dropped",
}

// String returns the kind in words.
func (k EventKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is something that happened to a connection. Which fields are set
// depends on the kind. No field ever holds a secret.
type Event struct {
	Kind       EventKind
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
