package core

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
)

// Every reply code of the specification that ends something, with what a
// retry of the same request may expect. Scope comes from the method that
// carried the code, so it is no part of this table.
func TestReplyCodes(t *testing.T) {
	for _, tt := range []struct {
		code        Code
		name        string
		recoverable bool // when the server says so
	}{
		{ErrContentTooLarge, "content-too-large (311)", true},
		{ErrNoRoute, "no-route (312)", false},
		{ErrNoConsumers, "no-consumers (313)", true},
		{ErrConnectionForced, "connection-forced (320)", true},
		{ErrInvalidPath, "invalid-path (402)", false},
		{ErrAccessRefused, "access-refused (403)", false},
		{ErrNotFound, "not-found (404)", false},
		{ErrResourceLocked, "resource-locked (405)", true},
		{ErrPreconditionFailed, "precondition-failed (406)", false},
		{ErrFrame, "frame-error (501)", false},
		{ErrSyntax, "syntax-error (502)", false},
		{ErrCommandInvalid, "command-invalid (503)", false},
		{ErrChannel, "channel-error (504)", false},
		{ErrUnexpectedFrame, "unexpected-frame (505)", false},
		{ErrResource, "resource-error (506)", true},
		{ErrNotAllowed, "not-allowed (530)", false},
		{ErrNotImplemented, "not-implemented (540)", false},
		{ErrInternal, "internal-error (541)", true},
		{Code(999), "reply code 999", false},
	} {
		if got := tt.code.Error(); got != tt.name {
			t.Errorf("%d: %q", tt.code, got)
		}
		err := fmt.Errorf("wrapped: %w", &Error{Code: tt.code, Server: true})
		if !errors.Is(err, tt.code) || errors.Is(err, tt.code+1) {
			t.Errorf("%d: errors.Is", tt.code)
		}
		e, _ := errs.AsType[*Error](err)
		if e.Recoverable() != tt.recoverable {
			t.Errorf("%d: recoverable %v", tt.code, e.Recoverable())
		}
	}
}

// Bytes that this client could not read may be fine on a new connection.
func TestFaultsFoundHereAreRecoverable(t *testing.T) {
	for _, code := range []Code{ErrFrame, ErrSyntax, ErrUnexpectedFrame} {
		if e := (&Error{Code: code}); !e.Recoverable() {
			t.Errorf("%v", e)
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&Error{Code: 404, Text: "NOT_FOUND - no queue 'x'", Method: "queue.declare", Channel: 3, Scope: ScopeChannel, Server: true}, "amqp: channel 3 closed by server on queue.declare: not-found (404): NOT_FOUND - no queue 'x'"},
		{&Error{Code: 320, Text: "CONNECTION_FORCED", Server: true}, "amqp: connection closed by server: connection-forced (320): CONNECTION_FORCED"},
		{&Error{Code: 501, Text: "frame: bad end"}, "amqp: connection closed by client: frame-error (501): frame: bad end"},
		{&DialError{Addr: "h:1", Step: "auth", Hint: "perhaps", Err: io.EOF}, "amqp: connect h:1: auth: EOF (perhaps)"},
		{&ValidationError{Method: "queue.bind", Err: io.EOF}, "amqp: queue.bind: EOF"},
		{because(ErrStale, ErrClosed), "amqp: stale delivery: closed"},
		{because(ErrStale, nil), "amqp: stale delivery"},
		{because(ErrClosed, because(ErrClosed, io.EOF)), "amqp: closed: EOF"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	if ScopeChannel.String() != "channel" || ScopeConnection.String() != "connection" {
		t.Error("scopes")
	}
}

func TestAckTimeout(t *testing.T) {
	const text = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. This timeout value can be configured, see consumers doc guide to learn more"
	for _, tt := range []struct {
		err  Error
		want bool
	}{
		{Error{Code: 406, Text: text, Server: true, Scope: ScopeChannel}, true},
		{Error{Code: 406, Text: "PRECONDITION_FAILED - unknown delivery tag 3", Server: true, Scope: ScopeChannel}, false},
		{Error{Code: 404, Text: text, Server: true, Scope: ScopeChannel}, false},
		{Error{Code: 406, Text: text, Scope: ScopeChannel}, false},
	} {
		if got := errors.Is(fmt.Errorf("lost: %w", &tt.err), ErrAckTimeout); got != tt.want {
			t.Errorf("%v: %t", &tt.err, got)
		}
	}
}

// What a peer wrote cannot forge a log line or clear a screen, and is bounded.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, ünïcode ✓": "plain text, ünïcode ✓",
		"a\nb":                  `"a\nb"`,
		"\x1b[2J":               `"\x1b[2J"`,
		"\u0085":                `"\u0085"`,
		"\u202e":                `"\u202e"`,
		"\xff":                  `"\xff"`,
		"\x00":                  `"\x00"`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if n := len(printable(strings.Repeat("x", 100_000))); n > 600 {
		t.Errorf("%d bytes", n)
	}
}

// The predicates tell who ended what over which request; nil is none of it.
func TestWhatAnErrorIsOver(t *testing.T) {
	const id, other = wire.MethodQueueDeclare, wire.MethodQueueBind
	closed := func(scope Scope, server bool, code Code, method string) error {
		return fmt.Errorf("so: %w", &Error{Scope: scope, Server: server, Code: code, Method: method, Text: "no queue 'q' in vhost '/'"})
	}
	for name, tt := range map[string]struct {
		err  error
		want string // channel, connection, fault, request, over, may, other
	}{
		"no error":                   {nil, ""},
		"another error":              {ErrLost, ""},
		"a channel":                  {closed(ScopeChannel, true, ErrNotFound, id.String()), "channel request over may"},
		"a channel, nothing named":   {closed(ScopeChannel, true, ErrNotFound, ""), "channel request may other"},
		"a channel, another named":   {closed(ScopeChannel, true, ErrNotFound, other.String()), "channel request other"},
		"a channel, on this side":    {closed(ScopeChannel, false, ErrNotFound, id.String()), "channel"},
		"a connection":               {closed(ScopeConnection, true, ErrInternal, id.String()), "connection request over may"},
		"a connection, nothing":      {closed(ScopeConnection, true, ErrInternal, ""), "connection request may other"},
		"a connection, by operator":  {closed(ScopeConnection, true, ErrConnectionForced, ""), "connection"},
		"a connection, on this side": {closed(ScopeConnection, false, ErrFrame, ""), "connection fault"},
	} {
		e := AsError(tt.err)
		var got []string
		for _, is := range []struct {
			word string
			is   bool
		}{
			{"channel", e.ClosedChannel()}, {"connection", e.ClosedConnection()}, {"fault", e.Fault()}, {"request", e.OverRequest()},
			{"over", e.ClosedOver(id)}, {"may", e.MayBeOver(id)}, {"other", e.MayBeOver(other)},
		} {
			if is.is {
				got = append(got, is.word)
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %s, want %s", name, s, tt.want)
		}
	}
	e := AsError(closed(ScopeChannel, true, ErrNotFound, ""))
	if !e.Says(ErrNotFound) || !e.Says(ErrNotFound, "no queue", "vhost") || e.Says(ErrNotFound, "no queue", "exchange") || e.Says(ErrNotAllowed) || AsError(nil).Says(ErrNotFound) {
		t.Error("what it says")
	}
}
