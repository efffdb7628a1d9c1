package core

import (
	"errors"
	"fmt"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// TestErrorsDoNotStutter: "amqp:" is said once, however deep the cause, and every cause is found.
func TestErrorsDoNotStutter(t *testing.T) {
	closed := &Error{Scope: ScopeConnection, Server: true, Code: ErrAccessRefused, Text: "no"}
	invalid := wire.ValidateTable(wire.Table{"a": struct{}{}})
	const text = "connection closed by server: access-refused (403): no"
	for _, tt := range []struct {
		err  error
		is   error
		want string
	}{
		{Verdict{Outcome: OutcomeNotSent, Cause: ErrClosed}.Err(), ErrClosed, "amqp: message not sent: closed"},
		{Verdict{Outcome: OutcomeUnknown, Cause: closed}.Err(), ErrAccessRefused, "amqp: message sent, outcome unknown: " + text},
		{because(ErrLost, closed), ErrAccessRefused, "amqp: connection lost: " + text},
		{because(ErrLost, because(ErrTimeout, closed)), ErrTimeout, "amqp: connection lost: no answer in time: " + text},
		{&DialError{Addr: "h:1", Step: "auth", Err: &reason{ErrAuth, closed}}, ErrAuth, "amqp: connect h:1: auth: authentication refused: " + text},
		{&DialError{Addr: "h:1", Step: "open", Err: fmt.Errorf("first: %w", closed), Hint: "x"}, ErrAccessRefused, "amqp: connect h:1: open: first: " + text + " (x)"},
		{&ValidationError{Method: "queue.declare", Err: invalid}, invalid, "amqp: queue.declare: a: type struct {} has no form in a field table"},
	} {
		if tt.err.Error() != tt.want || !errors.Is(tt.err, tt.is) {
			t.Errorf("%q\nwant %q", tt.err, tt.want)
		}
	}
}
