package session

import (
	"context"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/recovery"
)

// decide asks the application, for as long as is left of its time.
func (s *supervision) decide(conn *core.Conn, r recovery.Refusal) recovery.Decision {
	if s.c.cfg.Refused == nil || s.hookTime <= 0 {
		return recovery.DecisionRetry
	}
	parent, stop := s.c.ctx, func() {}
	if conn.Err() == nil {
		r.Conn = conn
		parent, stop = s.during(conn)
	}
	defer stop()
	ctx, cancel := context.WithTimeoutCause(parent, s.hookTime, core.ErrTimeout)
	defer cancel()
	begun := time.Now()
	defer func() { s.hookTime -= time.Since(begun) }()
	return ask(ctx, recovery.DecisionRetry, func() recovery.Decision { return s.c.cfg.Refused(ctx, r) })
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
