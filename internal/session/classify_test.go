package session

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/warren-mq/warren/recovery"

	"github.com/warren-mq/warren/core"
)

func closed(scope core.Scope, code core.Code, text string) error {
	return &core.Error{Scope: scope, Code: code, Text: text, Server: true}
}

func TestClassify(t *testing.T) {
	dial := func(err error) error { return &core.DialError{Addr: "a:1", Step: "auth", Err: err} }
	tests := []struct {
		name string
		err  error
		want class
	}{
		{"nobody listens", dial(syscall.ECONNREFUSED), passing},
		{"hung up", dial(io.EOF), passing},
		{"no answer", dial(core.ErrTimeout), passing},
		{"a lookup", fmt.Errorf("resolve endpoints: %w", errors.New("no such host")), passing},
		{"deadline", dial(context.DeadlineExceeded), passing},
		{"password", dial(fmt.Errorf("%w: %w", core.ErrAuth, closed(core.ScopeConnection, core.ErrAccessRefused, ""))), refused},
		{"mechanism", dial(core.ErrNoMechanism), refused},
		{"vhost", dial(closed(core.ScopeConnection, core.ErrNotAllowed, "vhost x not found")), refused},
		{"vhost path", dial(closed(core.ScopeConnection, core.ErrInvalidPath, "")), refused},
		{"shutting down", dial(closed(core.ScopeConnection, core.ErrConnectionForced, "")), passing},
		{"internal", dial(closed(core.ScopeConnection, core.ErrInternal, "")), passing},
		{"certificate", dial(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), refused},
		{"other name", dial(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "a"}), refused},
		{"no tls there", dial(tls.RecordHeaderError{}), refused},
		{"client certificate", dial(tls.AlertError(42)), refused},
		{"bad configuration", dial(&core.ValidationError{Method: "connect", Err: errors.New("x")}), hopeless},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := classify(test.err); got != test.want {
				t.Errorf("class %d; want %d", got, test.want)
			}
		})
	}
}

func TestClassifyRefusals(t *testing.T) {
	tests := []struct {
		err  error
		want recovery.Reason
	}{
		{closed(core.ScopeChannel, core.ErrResourceLocked, ""), recovery.ReasonLocked},
		{closed(core.ScopeChannel, core.ErrNotFound, ""), recovery.ReasonMissing},
		{closed(core.ScopeChannel, core.ErrAccessRefused, ""), recovery.ReasonDenied},
		{closed(core.ScopeChannel, core.ErrAccessRefused, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"), recovery.ReasonDenied},
		{&core.Error{
			Scope: core.ScopeChannel, Server: true, Method: "basic.consume", Code: core.ErrAccessRefused,
			Text: "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use",
		}, recovery.ReasonLocked},
		{&core.Error{
			Scope: core.ScopeChannel, Server: true, Method: "basic.consume", Code: core.ErrAccessRefused,
			Text: "ACCESS_REFUSED - read access to queue 'q' in vhost '/' refused for user 'u'",
		}, recovery.ReasonDenied},
		{closed(core.ScopeChannel, core.ErrPreconditionFailed, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q'"), recovery.ReasonDifferent},
		{closed(core.ScopeChannel, core.ErrPreconditionFailed, "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'q'"), recovery.ReasonInvalid},
		{closed(core.ScopeChannel, core.ErrInternal, ""), recovery.ReasonTemporary},
		{closed(core.ScopeConnection, core.ErrInternal, "feature transient_nonexcl_queues is deprecated"), recovery.ReasonFatal},
		{closed(core.ScopeConnection, core.ErrNotImplemented, ""), recovery.ReasonFatal},
		{fmt.Errorf("%w: queue.declare", core.ErrTimeout), recovery.ReasonTemporary},
		{&core.ValidationError{Method: "queue.declare", Err: errors.New("x")}, recovery.ReasonInvalid},
		{fmt.Errorf("wrapped: %w", closed(core.ScopeChannel, core.ErrNotFound, "")), recovery.ReasonMissing},
	}
	for _, test := range tests {
		if got := recovery.Classify(test.err); got != test.want {
			t.Errorf("%v: %s; want %s", test.err, got, test.want)
		}
	}
}
