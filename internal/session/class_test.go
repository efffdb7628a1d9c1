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

	"github.com/warren-mq/warren/core"
)

func closed(scope core.Scope, code core.Code, text string) error {
	return &core.Error{Scope: scope, Code: code, Text: text, Server: true}
}

func TestClassOf(t *testing.T) {
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
			if got := classOf(test.err); got != test.want {
				t.Errorf("class %d; want %d", got, test.want)
			}
		})
	}
}
