package core

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/warren-mq/warren/core/wire"
)

// Code is an AMQP reply code. It is an error, so that the constants below
// serve as targets of errors.Is: errors.Is(err, core.ErrNotFound) is true for
// every [*Error] with code 404, whichever side closed what.
//
// The names are those of the specification (chapter 1.2, "constants").
type Code uint16

// The reply codes of AMQP 0.9.1 that end a channel or a connection.
const (
	ErrContentTooLarge    Code = 311
	ErrNoRoute            Code = 312
	ErrNoConsumers        Code = 313
	ErrConnectionForced   Code = 320
	ErrInvalidPath        Code = 402
	ErrAccessRefused      Code = 403
	ErrNotFound           Code = 404
	ErrResourceLocked     Code = 405
	ErrPreconditionFailed Code = 406
	ErrFrame              Code = 501
	ErrSyntax             Code = 502
	ErrCommandInvalid     Code = 503
	ErrChannel            Code = 504
	ErrUnexpectedFrame    Code = 505
	ErrResource           Code = 506
	ErrNotAllowed         Code = 530
	ErrNotImplemented     Code = 540
	ErrInternal           Code = 541
)

var codeNames = map[Code]string{
	ErrContentTooLarge:    "content-too-large",
	ErrNoRoute:            "no-route",
	ErrNoConsumers:        "no-consumers",
	ErrConnectionForced:   "connection-forced",
	ErrInvalidPath:        "invalid-path",
	ErrAccessRefused:      "access-refused",
	ErrNotFound:           "not-found",
	ErrResourceLocked:     "resource-locked",
	ErrPreconditionFailed: "precondition-failed",
	ErrFrame:              "frame-error",
	ErrSyntax:             "syntax-error",
	ErrCommandInvalid:     "command-invalid",
	ErrChannel:            "channel-error",
	ErrUnexpectedFrame:    "unexpected-frame",
	ErrResource:           "resource-error",
	ErrNotAllowed:         "not-allowed",
	ErrNotImplemented:     "not-implemented",
	ErrInternal:           "internal-error",
}

// Error returns the specification's name and the number: "not-found (404)".
func (c Code) Error() string {
	if name, ok := codeNames[c]; ok {
		return fmt.Sprintf("%s (%d)", name, uint16(c))
	}
	return fmt.Sprintf("reply code %d", uint16(c))
}

// Scope says what an [*Error] ended: one channel or the whole connection. It
// is decided by the method that carried the error, never by its code.
type Scope uint8

// The two scopes of an error.
const (
	ScopeConnection Scope = iota
	ScopeChannel
)

// String returns "connection" or "channel".
func (s Scope) String() string {
	if s == ScopeChannel {
		return "channel"
	}
	return "connection"
}

// Error is a channel or connection ended with an AMQP reply code, by the
// server or, when it broke the protocol, by this client.
type Error struct {
	Code    Code   // the reply code
	Text    string // the reply text as received: untrusted, shown quoted where it holds control characters
	Method  string // the method that was refused, as the closing side named it: "queue.declare"; may be empty
	Channel uint16 // the channel that died, 0 for a connection
	Scope   Scope  // what died
	Server  bool   // true if the server said so, false if this client did
}

// Error returns one line: who closed what, the code's name and the text.
func (e *Error) Error() string {
	who := "client"
	if e.Server {
		who = "server"
	}
	what := "connection"
	if e.Scope == ScopeChannel {
		what = fmt.Sprintf("channel %d", e.Channel)
	}
	on := ""
	if e.Method != "" {
		on = " on " + e.Method
	}
	return fmt.Sprintf("amqp: %s closed by %s%s: %s: %s", what, who, on, e.Code.Error(), printable(e.Text))
}

// Is reports whether target is this error's [Code], or [ErrAckTimeout] if it is that.
func (e *Error) Is(target error) bool {
	if target == ErrAckTimeout {
		return e.Server && e.Says(ErrPreconditionFailed, "delivery acknowledgement", "timed out")
	}
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Recoverable reports whether a new connection or channel, with unchanged
// requests, may succeed: the cause lies in the server's condition at that
// moment. RabbitMQ also uses 541 for passing faults (a quorum queue without a
// leader), so that one is recoverable too.
func (e *Error) Recoverable() bool {
	switch e.Code {
	case ErrContentTooLarge, ErrNoConsumers, ErrConnectionForced, ErrResourceLocked, ErrResource, ErrInternal:
		return true
	case ErrFrame, ErrUnexpectedFrame, ErrSyntax:
		return !e.Server // bytes went bad on the way in: a new connection starts clean
	default:
		return false
	}
}

// Sentinel errors. They arrive wrapped with their cause: use errors.Is.
var (
	// ErrClosed: the connection or channel was closed by this application.
	ErrClosed = errors.New("amqp: closed")
	// ErrStale: the delivery's channel is gone, or the server took its
	// consumer away. Nothing was written; the broker redelivers the message.
	ErrStale = errors.New("amqp: stale delivery")
	// ErrSettled: the delivery was already acked, nacked or rejected.
	ErrSettled = errors.New("amqp: delivery already settled")
	// ErrTimeout: the server did not answer within the connection's own limit
	// (see [Config]); what waited for the answer was given up.
	ErrTimeout = errors.New("amqp: no answer in time")
	// ErrLost: the socket failed, or the server hung up without a word. The
	// network's own error is wrapped next to it. It is the cause of a
	// connection, and of all that was on it, whose end is no other of these
	// errors and no [*Error].
	ErrLost = errors.New("amqp: connection lost")
	// ErrSilent: nothing was received for two heartbeat intervals.
	ErrSilent = errors.New("amqp: peer silent for two heartbeat intervals")
	// ErrCancelled: the server cancelled the consumer, for example because
	// its queue was deleted.
	ErrCancelled = errors.New("amqp: consumer cancelled by the server")
	// ErrIgnored: the server closed the channel over another request, whose
	// [*Error] is wrapped, and has not looked at this one behind it.
	ErrIgnored = errors.New("amqp: request ignored")
	// ErrAckTimeout: the server closed the channel because a delivery was not
	// acked in time (RabbitMQ until 4.2, "Delivery Acknowledgement Timeout").
	// Since 4.3 it cancels the consumer instead: [ErrCancelled].
	ErrAckTimeout = errors.New("amqp: ack timeout")
	// ErrOverflow: more was delivered than the consumer's bound allows.
	ErrOverflow = errors.New("amqp: consumer buffer full")
	// ErrAuth: the server refused the credentials.
	ErrAuth = errors.New("amqp: authentication refused")
	// ErrNoMechanism: client and server have no SASL mechanism in common.
	ErrNoMechanism = errors.New("amqp: no common sasl mechanism")
	// ErrChannelsExhausted: every channel id of the connection is in use.
	ErrChannelsExhausted = errors.New("amqp: all channel ids in use")
	// ErrBlocked: the broker takes no publishes (connection.blocked), and the
	// context of one ended meanwhile. It comes with the context's cause.
	ErrBlocked = errors.New("amqp: the broker blocks publishers")
	// ErrConfirmMode: the call needs, or must not have, confirm mode.
	ErrConfirmMode = errors.New("amqp: wrong channel mode")
)

// DialError is a connection that could not be opened. Unwrap gives the cause:
// a net error, a tls error, an [*Error] sent by the server, [ErrAuth],
// [ErrNoMechanism], [ErrTimeout] or the context's error.
type DialError struct {
	Addr string // host:port
	Step string // "dial", "tls", "start", "auth", "tune", "open"
	Hint string // a guess at the cause where the protocol gives none; may be empty
	Err  error
}

// Error returns address, step, cause and hint in one line.
func (e *DialError) Error() string {
	hint := ""
	if e.Hint != "" {
		hint = " (" + e.Hint + ")"
	}
	return fmt.Sprintf("amqp: connect %s: %s: %s%s", e.Addr, e.Step, withoutStep(e.Step, bare(e.Err)), hint)
}

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// ValidationError is input refused before anything was sent. The channel and
// the connection are untouched.
type ValidationError struct {
	Method string // the AMQP method it was meant for
	Err    error  // what is wrong, naming the field
}

// Error returns the method and what is wrong.
func (e *ValidationError) Error() string { return fmt.Sprintf("amqp: %s: %s", e.Method, bare(e.Err)) }

// Unwrap returns what is wrong.
func (e *ValidationError) Unwrap() error { return e.Err }

// because returns an error that is kind and whose cause is cause. A cause
// that already is of that kind is returned as it is.
func because(kind, cause error) error {
	if cause == nil || errors.Is(cause, kind) {
		return cmpErr(cause, kind)
	}
	return &reason{kind, cause}
}

// reason is an error of a kind with its cause.
type reason struct{ kind, cause error }

func (r *reason) Error() string   { return fmt.Sprintf("%v: %s", r.kind, bare(r.cause)) }
func (r *reason) Unwrap() []error { return []error{r.kind, r.cause} }

// bare is the text of an error that goes behind "amqp: ", which is not said again.
func bare(err error) string {
	if err == nil {
		return "<nil>"
	}
	text := err.Error()
	for _, prefix := range []string{"amqp: ", "wire: "} {
		text = strings.ReplaceAll(strings.TrimPrefix(text, prefix), ": "+prefix, ": ")
	}
	return text
}

// lost gives a connection's end a name if it has none: see [ErrLost].
func lost(err error) error {
	if AsError(err) != nil {
		return err
	}
	for _, named := range []error{ErrClosed, ErrSilent, ErrTimeout} {
		if errors.Is(err, named) {
			return err
		}
	}
	return because(ErrLost, err)
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// printable returns text fit for a log line: control characters are escaped
// and the length is bounded, since a peer chose the bytes.
func printable(text string) string {
	const limit = 512
	if len(text) > limit {
		text = text[:limit] + "…"
	}
	for _, r := range text {
		if !strconv.IsPrint(r) || r == '\uFFFD' {
			return fmt.Sprintf("%q", text)
		}
	}
	return text
}

var (
	errTagNeeded    = errors.New("a consumer tag is needed with no-wait")
	errTagTaken     = errors.New("the consumer tag is in use on this channel")
	errNeedsConfirm = errors.New("call Confirm first")
	errOtherMode    = errors.New("a channel is either in confirm mode or transactional")

	errStandsStill = fmt.Errorf("%w: not sent, because a large message or a commit on this channel stands still; use another channel", ErrTimeout)

	errNotRequestable = errors.New("has a method of its own on Channel; use that")
	errNoRequeue      = errors.New("RabbitMQ closes the connection over a recover without Requeue: set it")
	errRequestNoWait  = errors.New("NoWait has no answer to wait for; use the typed method")

	errAnswersUnread = &Error{
		Code: ErrResource, Text: "the server asks and does not read the answers", Scope: ScopeConnection,
	}
)

func errNoSuchTag(tag uint64) error {
	return fmt.Errorf("delivery tag %d was never delivered on this channel", tag)
}

func errBodyTooLarge(size, limit uint64) error {
	return &Error{Code: ErrContentTooLarge, Text: fmt.Sprintf("message of %d bytes, the limit is %d", size, limit), Scope: ScopeChannel}
}

func errMethodTooLarge(id wire.MethodID, size int, frameMax uint32) error {
	return &ValidationError{
		Method: id.String(),
		Err:    fmt.Errorf("%d bytes do not fit one frame of %d; make arguments and names shorter", size, frameMax),
	}
}

func errHeadersTooLarge(size int, frameMax uint32) error {
	return &ValidationError{
		Method: wire.MethodBasicPublish.String(),
		Err:    fmt.Errorf("properties of %d bytes do not fit one frame of %d; headers cannot span frames", size, frameMax),
	}
}
