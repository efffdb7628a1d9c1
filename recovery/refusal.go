package recovery

import (
	"fmt"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/topology"
)

// Reason is why the broker did not do as asked, if the reply tells.
type Reason uint8

// The reasons of a refusal.
const (
	// ReasonTemporary: no answer in time, no resources, an internal error.
	ReasonTemporary Reason = iota
	// ReasonLocked: an exclusive queue of another connection (405), often the
	// client's own last one, which the broker has not yet given up; or an
	// exclusive consumer that another one keeps out (403).
	ReasonLocked
	// ReasonMissing: something that it needs does not exist (404).
	ReasonMissing
	// ReasonDifferent: it exists with other arguments (406).
	ReasonDifferent
	// ReasonDenied: no permission, or a reserved name (403).
	ReasonDenied
	// ReasonInvalid: no broker would take it as it is (406, or found before sending).
	ReasonInvalid
	// ReasonFatal: the broker closed the connection over it.
	ReasonFatal
)

var reasonNames = [...]string{"temporary", "locked", "missing", "different", "denied", "invalid", "fatal"}

// String returns the reason in one word.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// ReasonOf tells the reason from the reply's scope, method, code and text, which
// is how RabbitMQ tells apart two meanings of 403 and of 406.
func ReasonOf(err error) Reason {
	if _, ok := errs.AsType[*core.ValidationError](err); ok {
		return ReasonInvalid
	}
	e := core.AsError(err)
	switch {
	case e == nil:
		return ReasonTemporary
	case e.ClosedConnection():
		return ReasonFatal
	}
	switch e.Code {
	case core.ErrResourceLocked:
		return ReasonLocked
	case core.ErrNotFound:
		return ReasonMissing
	case core.ErrAccessRefused:
		if e.ClosedOver(wire.MethodBasicConsume) && e.Says(e.Code, "in exclusive use") {
			return ReasonLocked
		}
		return ReasonDenied
	case core.ErrPreconditionFailed:
		if e.Says(e.Code, "inequivalent") {
			return ReasonDifferent
		}
		return ReasonInvalid
	case core.ErrNotAllowed, core.ErrNotImplemented, core.ErrSyntax, core.ErrCommandInvalid:
		return ReasonInvalid
	default:
		return ReasonTemporary
	}
}

// Refusal is an entity that could not be declared on a new connection.
type Refusal struct {
	Entity   topology.Entity
	Reason   Reason
	Err      error
	Attempts int // how often in a row, this one included
	// Conn is the connection that is being restored, for code that wants to repair
	// something first, on a channel of its own: until everything is declared,
	// the logical connection has no session. Nil if the entity closed it.
	Conn *core.Conn
}

// Decision says what becomes of a refused entity.
type Decision uint8

const (
	// DecisionRetry keeps trying in the background; the connection is degraded until
	// it succeeds. It is the default.
	DecisionRetry Decision = iota
	// DecisionAdopt takes the entity as it is, if it exists; else it is Retry.
	DecisionAdopt
	// DecisionSkip leaves it until the next connection. The connection is not degraded.
	DecisionSkip
	// DecisionFail gives the connection up.
	DecisionFail
)

var decisionNames = [...]string{"retry", "adopt", "skip", "fail"}

// String returns the decision in one word.
func (d Decision) String() string {
	if int(d) < len(decisionNames) {
		return decisionNames[d]
	}
	return fmt.Sprintf("decision %d", uint8(d))
}
