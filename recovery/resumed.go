package recovery

import (
	"time"
)

func newReport() *Report {
	return &Report{Phases: map[string]time.Duration{}, Renamed: map[string]string{}}
}

// resumed returns the report of a recovery whose consumers are all established.
// The lock is held.
func (c *Connection) resumed(r *Report) *Report {
	full := *r
	for _, m := range c.members {
		o := Outcome{Consumer: m.name, After: m.since.Sub(r.Lost), Refused: m.refused}
		full.ConsumeReady = max(full.ConsumeReady, o.After)
		full.Consumers = append(full.Consumers, o)
	}
	full.ConsumeReady = max(full.ConsumeReady, r.Total)
	return &full
}
