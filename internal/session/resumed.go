package session

import (
	"time"

	"github.com/warren-mq/warren/recovery"
)

func newReport() *recovery.Report {
	return &recovery.Report{Phases: map[string]time.Duration{}, Renamed: map[string]string{}}
}

// resumedLocked returns the report of a recovery whose consumers are all established.
func (c *Connection) resumedLocked(r *recovery.Report) *recovery.Report {
	full := *r
	for _, m := range c.members {
		o := recovery.Outcome{Consumer: m.name, After: m.since.Sub(r.Lost), Refused: m.refused}
		full.ConsumeReady = max(full.ConsumeReady, o.After)
		full.Consumers = append(full.Consumers, o)
	}
	full.ConsumeReady = max(full.ConsumeReady, r.Total)
	return &full
}
