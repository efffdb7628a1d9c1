package recovery

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core"
)

func TestReasonOf(t *testing.T) {
	tests := []struct {
		err  error
		want Reason
	}{
		{closed(core.ScopeChannel, core.ErrResourceLocked, ""), ReasonLocked},
		{closed(core.ScopeChannel, core.ErrNotFound, ""), ReasonMissing},
		{closed(core.ScopeChannel, core.ErrAccessRefused, ""), ReasonDenied},
		{closed(core.ScopeChannel, core.ErrAccessRefused, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"), ReasonDenied},
		{&core.Error{
			Scope: core.ScopeChannel, Server: true, Method: "basic.consume", Code: core.ErrAccessRefused,
			Text: "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use",
		}, ReasonLocked},
		{&core.Error{
			Scope: core.ScopeChannel, Server: true, Method: "basic.consume", Code: core.ErrAccessRefused,
			Text: "ACCESS_REFUSED - read access to queue 'q' in vhost '/' refused for user 'u'",
		}, ReasonDenied},
		{closed(core.ScopeChannel, core.ErrPreconditionFailed, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q'"), ReasonDifferent},
		{closed(core.ScopeChannel, core.ErrPreconditionFailed, "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'q'"), ReasonInvalid},
		{closed(core.ScopeChannel, core.ErrInternal, ""), ReasonTemporary},
		{closed(core.ScopeConnection, core.ErrInternal, "feature transient_nonexcl_queues is deprecated"), ReasonFatal},
		{closed(core.ScopeConnection, core.ErrNotImplemented, ""), ReasonFatal},
		{fmt.Errorf("%w: queue.declare", core.ErrTimeout), ReasonTemporary},
		{&core.ValidationError{Method: "queue.declare", Err: errors.New("x")}, ReasonInvalid},
		{fmt.Errorf("wrapped: %w", closed(core.ScopeChannel, core.ErrNotFound, "")), ReasonMissing},
	}
	for _, test := range tests {
		if got := ReasonOf(test.err); got != test.want {
			t.Errorf("%v: %s; want %s", test.err, got, test.want)
		}
	}
}

// A value of a later release has a name in logs too.
func TestUnknownNames(t *testing.T) {
	for _, got := range []string{Reason(200).String(), Decision(200).String(), EventKind(200).String(), Stage(200).String()} {
		if !strings.Contains(got, "200") {
			t.Errorf("%q", got)
		}
	}
}

func closed(scope core.Scope, code core.Code, text string) error {
	return &core.Error{Scope: scope, Code: code, Text: text, Server: true}
}
