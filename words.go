package warren

import (
	"github.com/warren-mq/warren/channel"
	"github.com/warren-mq/warren/consumer"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// Types of messages, and of what moves them.
type (
	// Message is what is published.
	Message = publisher.Message
	// Publisher publishes messages, each to exactly one outcome: see [Client.Publisher].
	Publisher = publisher.Publisher
	// Receipt is a message on its way to its outcome: see [publisher.Publisher.Send].
	Receipt = publisher.Receipt
	// Outcome is what became of a message that was published.
	Outcome = core.Outcome
	// OutcomeError says why a message was not confirmed.
	OutcomeError = core.OutcomeError
	// Consumer handles the messages of a queue: see [Client.Consumer].
	Consumer = consumer.Consumer
	// Handler handles one delivery: nil acks it, an error gives it back as failed.
	Handler = consumer.Handler
	// Delivery is a message that was received, and belongs to the channel that brought it.
	Delivery = core.Delivery
	// Properties are a message's: content type, headers, correlation id and the like.
	Properties = core.Properties
	// Table holds headers or arguments by name.
	Table = core.Table
	// Credentials are what a client logs in with, and until when: see [WithCredentials].
	Credentials = core.Credentials
	// Channel has every method of the protocol: see [Client.Channel].
	Channel = channel.Channel
)

// Types of what is declared.
type (
	// Topology is exchanges, queues and bindings that belong together.
	Topology = topology.Topology
	// Exchange routes messages to queues.
	Exchange = topology.Exchange
	// Queue holds messages until they are consumed.
	Queue = topology.Queue
	// Binding has an exchange route to a queue, or to another exchange.
	Binding = topology.Binding
)

// Types of what a client tells of itself. Its [Health] is at [Client.Health].
type (
	// Event is something that happened to one of the client's connections: see [Client.Listen].
	Event = recovery.Event
	// EventKind says what an event is about.
	EventKind = recovery.EventKind
	// State is how far the client is, and what is missing.
	State = recovery.State
	// Stage is how far a connection has come.
	Stage = recovery.Stage
	// Report is what a recovery did.
	Report = recovery.Report
	// Failure is something that could not be restored, and why.
	Failure = recovery.Failure
)

// Outcomes of a message. Only OutcomeConfirmed is success.
const (
	OutcomePending   = core.OutcomePending   // none yet
	OutcomeConfirmed = core.OutcomeConfirmed // the broker has it and, unless that was not asked for, a queue took it
	OutcomeReturned  = core.OutcomeReturned  // no queue took it
	OutcomeNacked    = core.OutcomeNacked    // the broker refused it
	OutcomeNotSent   = core.OutcomeNotSent   // it was not sent, so sending it again cannot duplicate it
	OutcomeUnknown   = core.OutcomeUnknown   // it was sent, and nobody knows whether the broker has it
)

// Errors of publishing: errors.Is finds the one that is the outcome.
var (
	ErrReturned = core.ErrReturned // OutcomeReturned
	ErrNacked   = core.ErrNacked   // OutcomeNacked
	ErrNotSent  = core.ErrNotSent  // OutcomeNotSent
	ErrUnknown  = core.ErrUnknown  // OutcomeUnknown
)

// Errors by which a [Handler] says what else is to become of its delivery.
var (
	ErrReject  = consumer.ErrReject  // it is dead-lettered, or dropped: it can never succeed
	ErrRequeue = consumer.ErrRequeue // it goes back without having failed
)

// Stages, in order.
const (
	StageConnecting   = recovery.StageConnecting   // no connection; one is being made or waited for
	StageConnected    = recovery.StageConnected    // a connection is open, and the topology is being declared
	StagePublishReady = recovery.StagePublishReady // exchanges, queues and bindings are declared
	StageConsumeReady = recovery.StageConsumeReady // every consumer is subscribed
	StageClosed       = recovery.StageClosed       // for good
)

// Kinds of events. What each carries is said at [recovery.EventKind].
const (
	EventOpened           = recovery.EventOpened           // a connection is open
	EventLost             = recovery.EventLost             // a connection is gone
	EventRetrying         = recovery.EventRetrying         // an attempt to connect failed, and the next one waits
	EventStageChanged     = recovery.EventStageChanged     // the state has changed
	EventRecovered        = recovery.EventRecovered        // a lost connection is replaced, and the topology declared again
	EventResumed          = recovery.EventResumed          // after that, every consumer is subscribed again
	EventQuarantined      = recovery.EventQuarantined      // an entity could not be declared, and is tried again
	EventRestored         = recovery.EventRestored         // it is declared after all
	EventRenamed          = recovery.EventRenamed          // a queue that the broker names has another name
	EventBlocked          = recovery.EventBlocked          // the broker takes no publishes for now
	EventUnblocked        = recovery.EventUnblocked        // it takes publishes again
	EventConsumerLost     = recovery.EventConsumerLost     // a consumer is being started again
	EventConsumerRestored = recovery.EventConsumerRestored // it is subscribed again
	EventConsumerEnded    = recovery.EventConsumerEnded    // a consumer ended for good, not by the application
	EventChannelLost      = recovery.EventChannelLost      // a channel is being opened again
	EventChannelRestored  = recovery.EventChannelRestored  // it is open again
	EventEnded            = recovery.EventEnded            // a connection was closed or given up
	EventHandlerFailed    = recovery.EventHandlerFailed    // a handler returned an error or panicked
	EventHandlerSlow      = recovery.EventHandlerSlow      // a handler has had a delivery for long
	EventFailuresDropped  = recovery.EventFailuresDropped  // a queue drops, or may drop, messages that fail often
	EventWarning          = recovery.EventWarning          // something is hardly as it was meant
	EventRecreated        = recovery.EventRecreated        // a queue that should have survived was gone, with its messages
	EventSecretRenewed    = recovery.EventSecretRenewed    // the credentials were replaced before they expired
	EventSecretNotRenewed = recovery.EventSecretNotRenewed // they could not be, and it is tried again
	EventNotRecorded      = recovery.EventNotRecorded      // what was declared will not come back after a loss
	EventQosDropped       = recovery.EventQosDropped       // the broker takes a channel's global qos no more
	EventTooLarge         = recovery.EventTooLarge         // a message came that is larger than may be read
	EventDropped          = recovery.EventDropped          // this listener was too slow, and missed events
)
