package core

import (
	"slices"
	"strings"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
)

// AsError returns the [*Error] that err is or wraps, nil if there is none. The
// methods below answer false for nil, so that one line asks for an error of any
// kind:
//
//	if core.AsError(err).ClosedChannel() { … }
func AsError(err error) *Error {
	e, _ := errs.AsType[*Error](err)
	return e
}

// ClosedChannel reports whether it ended one channel; the connection lives.
func (e *Error) ClosedChannel() bool { return e != nil && e.Scope == ScopeChannel }

// ClosedConnection reports whether it ended the connection with all its channels.
func (e *Error) ClosedConnection() bool { return e != nil && e.Scope == ScopeConnection }

// Fault reports whether this client ended the connection because the server
// broke the protocol.
func (e *Error) Fault() bool { return e.ClosedConnection() && !e.Server }

// OverRequest reports whether the server closed the channel or connection over
// something that this client asked for, and not, as an operator or a shutdown
// does ([ErrConnectionForced]), for reasons of its own.
func (e *Error) OverRequest() bool {
	return e != nil && e.Server && !(e.ClosedConnection() && e.Code == ErrConnectionForced)
}

// ClosedOver reports whether the server closed the channel or connection over
// this method, which it named.
func (e *Error) ClosedOver(method wire.MethodID) bool {
	return e.OverRequest() && e.Method == method.String()
}

// MayBeOver is [Error.ClosedOver] with doubt: the server named this method or none.
func (e *Error) MayBeOver(method wire.MethodID) bool {
	return e.OverRequest() && (e.Method == "" || e.Method == method.String())
}

// Says reports whether the reply has this code, and a text that contains all of
// the phrases. Texts are the broker's own, and may differ between its versions.
func (e *Error) Says(code Code, phrases ...string) bool {
	return e != nil && e.Code == code &&
		!slices.ContainsFunc(phrases, func(s string) bool { return !strings.Contains(e.Text, s) })
}
