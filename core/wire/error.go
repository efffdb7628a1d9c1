package wire

import (
	"fmt"
	"strings"
)

// Reply codes of the faults that can be seen in bytes (0-9-1 §1.2).
const (
	codeFrameError      = 501
	codeSyntaxError     = 502
	codeCommandInvalid  = 503
	codeUnexpectedFrame = 505
	codeNotImplemented  = 540
)

// Error is a protocol fault found in received bytes. The connection that brought them cannot go on: its
// state is unknown from here.
//
// Nothing in it is taken from the peer's bytes but numbers, so it is safe to log.
type Error struct {
	Code   uint16 // AMQP reply code to close the connection with: 501, 502, 503, 505 or 540
	Where  string // the part at fault, such as "frame", "content header" or "queue.declare arguments"
	Reason string // what is wrong with it
}

// Error returns the fault in a line.
func (e *Error) Error() string {
	return fmt.Sprintf("wire: %s (%d) in %s: %s", codeName(e.Code), e.Code, e.Where, e.Reason)
}

func codeName(code uint16) string {
	switch code {
	case codeFrameError:
		return "frame error"
	case codeSyntaxError:
		return "syntax error"
	case codeCommandInvalid:
		return "command invalid"
	case codeUnexpectedFrame:
		return "unexpected frame"
	default:
		return "not implemented"
	}
}

// fault builds an [*Error] as an error, never a typed nil.
func fault(code uint16, where, format string, args ...any) error {
	return &Error{Code: code, Where: where, Reason: fmt.Sprintf(format, args...)}
}

// ProtocolHeaderError says that a protocol header stood where a frame was expected. A server answers so,
// and closes the connection, when it does not speak the version that the client asked for (0-9-1 §4.2.2);
// a client opens its connection so.
type ProtocolHeaderError struct {
	ID, Major, Minor, Revision uint8 // the four octets after "AMQP"; 0, 0, 9, 1 is AMQP 0.9.1
}

// Error returns the version that the peer offers.
func (e *ProtocolHeaderError) Error() string {
	return fmt.Sprintf("wire: protocol header instead of a frame: the peer offers AMQP %d.%d.%d (protocol id %d), not 0.9.1",
		e.Major, e.Minor, e.Revision, e.ID)
}

// FieldError says that a value given by the caller has no form on the wire. Nothing has been encoded.
type FieldError struct {
	Path   string // the value at fault, such as "routing key", "headers.a[2]" or "arguments.x-max-length"
	Reason string // what is wrong with it; never contains the value
}

// Error returns the field and what is wrong with it.
func (e *FieldError) Error() string {
	if e.Path == "" {
		return "wire: " + e.Reason
	}
	return "wire: " + e.Path + ": " + e.Reason
}

// under puts parent in front of the path.
func (e *FieldError) under(parent string) *FieldError {
	switch {
	case e.Path == "":
		e.Path = parent
	case e.Path[0] == '[':
		e.Path = parent + e.Path
	default:
		e.Path = parent + "." + e.Path
	}
	return e
}

// field is the readable form of a field's name in the specification.
func field(name string) string { return strings.ReplaceAll(name, "-", " ") }
