package recovery

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/record"
)

// Reason is why the broker did not do as asked, as far as the reply tells.
type Reason uint8

// The reasons of a refusal.
const (
	// Temporary: no answer in time, no resources, an internal error.
	Temporary Reason = iota
	// Locked: an exclusive queue of another connection (405), often the
	// client's own last one, which the broker has not yet given up; or an
	// exclusive consumer that another one keeps out (403).
	Locked
	// Missing: something that it needs does not exist (404).
	Missing
	// Different: it exists with other arguments (406).
	Different
	// Denied: no permission, or a reserved name (403).
	Denied
	// Invalid: no broker would take it as it is (406, or found before sending).
	Invalid
	// Fatal: the broker closed the connection over it.
	Fatal
)

var reasonNames = [...]string{"temporary", "locked", "missing", "different", "denied", "invalid", "fatal"}

// String returns the reason in one word.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Classify tells the reason from the reply's scope, method, code and text, which
// is how RabbitMQ tells apart two meanings of 403 and of 406.
func Classify(err error) Reason {
	if _, ok := errs.AsType[*core.ValidationError](err); ok {
		return Invalid
	}
	e, ok := errs.AsType[*core.Error](err)
	if !ok {
		return Temporary
	}
	if e.Scope == core.ScopeConnection {
		return Fatal
	}
	switch e.Code {
	case core.ErrResourceLocked:
		return Locked
	case core.ErrNotFound:
		return Missing
	case core.ErrAccessRefused:
		if e.Method == wire.MethodBasicConsume.String() && strings.Contains(e.Text, "in exclusive use") {
			return Locked
		}
		return Denied
	case core.ErrPreconditionFailed:
		if strings.Contains(e.Text, "inequivalent") {
			return Different
		}
		return Invalid
	case core.ErrNotAllowed, core.ErrNotImplemented, core.ErrSyntax, core.ErrCommandInvalid:
		return Invalid
	default:
		return Temporary
	}
}

// Refusal is an entity that could not be declared on a new connection.
type Refusal struct {
	Entity   fmt.Stringer // a topology.Exchange, Queue or Binding
	Reason   Reason
	Err      error
	Attempts int // how often in a row, this one included
	// Conn is the connection that is being restored, for whoever wants to repair
	// something first, on a channel of its own: until everything is declared,
	// the logical connection has no session. Nil if the entity closed it.
	Conn *core.Conn
}

// Decision says what becomes of a refused entity.
type Decision uint8

const (
	// Retry keeps trying in the background; the connection is degraded until
	// it succeeds. It is the default.
	Retry Decision = iota
	// Adopt takes the entity as it is, if it exists; else it is Retry.
	Adopt
	// Skip leaves it until the next connection. The connection is not degraded.
	Skip
	// Fail gives the connection up.
	Fail
)

var decisionNames = [...]string{"retry", "adopt", "skip", "fail"}

// String returns the decision in one word.
func (d Decision) String() string {
	if int(d) < len(decisionNames) {
		return decisionNames[d]
	}
	return fmt.Sprintf("decision %d", uint8(d))
}

// decide asks the application, for as long as is left of its time.
func (s *supervision) decide(conn *core.Conn, r Refusal) Decision {
	if s.cfg.Refused == nil || s.hookTime <= 0 {
		return Retry
	}
	parent, stop := s.ctx, func() {}
	if conn.Err() == nil {
		r.Conn = conn
		parent, stop = s.during(conn)
	}
	defer stop()
	ctx, cancel := context.WithTimeoutCause(parent, s.hookTime, core.ErrTimeout)
	defer cancel()
	begun := time.Now()
	defer func() { s.hookTime -= time.Since(begun) }()
	return ask(ctx, Retry, func() Decision { return s.cfg.Refused(ctx, r) })
}

// passive returns the step that looks whether the entity exists; false if
// there is none for its kind.
func passive(step record.Step) (record.Step, bool) {
	switch m := step.Method.(type) {
	case *core.ExchangeDeclare:
		step.Method = &core.ExchangeDeclare{Exchange: m.Exchange, Passive: true}
	case *core.QueueDeclare:
		if m.Queue == "" {
			return step, false
		}
		step.Method = &core.QueueDeclare{Queue: m.Queue, Passive: true}
	default:
		return step, false
	}
	return step, true
}
