package state

import "fmt"

// Refusal is what a broker closes a channel or a connection with.
type Refusal struct {
	Code uint16
	Text string
}

// Error returns the code and the text.
func (r *Refusal) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Text) }

// Hard reports whether the refusal ends the connection, and not only the channel (0-9-1 §1.2).
func (r *Refusal) Hard() bool {
	switch r.Code {
	case NoRoute, NoConsumers, ContentTooLarge, AccessRefused, NotFound, ResourceLocked, PreconditionFailed:
		return false
	}
	return true
}

// Reply codes (0-9-1 §1.2).
const (
	ContentTooLarge    = 311
	NoRoute            = 312
	NoConsumers        = 313
	ConnectionForced   = 320
	InvalidPath        = 402
	AccessRefused      = 403
	NotFound           = 404
	ResourceLocked     = 405
	PreconditionFailed = 406
	FrameError         = 501
	SyntaxError        = 502
	CommandInvalid     = 503
	ChannelError       = 504
	UnexpectedFrame    = 505
	ResourceError      = 506
	NotAllowed         = 530
	NotImplemented     = 540
	InternalError      = 541
)

// CodeName returns the name that RabbitMQ puts in front of a reply text.
func CodeName(code uint16) string {
	switch code {
	case ContentTooLarge:
		return "CONTENT_TOO_LARGE"
	case NoRoute:
		return "NO_ROUTE"
	case NoConsumers:
		return "NO_CONSUMERS"
	case ConnectionForced:
		return "CONNECTION_FORCED"
	case InvalidPath:
		return "INVALID_PATH"
	case AccessRefused:
		return "ACCESS_REFUSED"
	case NotFound:
		return "NOT_FOUND"
	case ResourceLocked:
		return "RESOURCE_LOCKED"
	case PreconditionFailed:
		return "PRECONDITION_FAILED"
	case FrameError:
		return "FRAME_ERROR"
	case SyntaxError:
		return "SYNTAX_ERROR"
	case CommandInvalid:
		return "COMMAND_INVALID"
	case ChannelError:
		return "CHANNEL_ERROR"
	case UnexpectedFrame:
		return "UNEXPECTED_FRAME"
	case ResourceError:
		return "RESOURCE_ERROR"
	case NotAllowed:
		return "NOT_ALLOWED"
	case NotImplemented:
		return "NOT_IMPLEMENTED"
	default:
		return "INTERNAL_ERROR"
	}
}

// Refuse makes a refusal with RabbitMQ's form of the text: the name of the code, then the reason.
func Refuse(code uint16, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Text: CodeName(code) + " - " + fmt.Sprintf(format, args...)}
}
