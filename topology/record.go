package topology

import "errors"

// RecordMode says what a client records of what it declares, to declare it again after a loss.
type RecordMode uint8

// The modes.
const (
	// RecordModeAll: everything that is declared. It is the default.
	RecordModeAll RecordMode = iota
	// RecordModeTransient: what dies with a connection or a broker, that is
	// exclusive, auto-delete and transient queues, auto-delete and transient
	// exchanges, and the bindings from and to these.
	RecordModeTransient
	// RecordModeOff: nothing.
	RecordModeOff
)

// DefaultRecordLimit is how many entities a client records unless told otherwise.
const DefaultRecordLimit = 250_000

// ErrFull: an entity was declared, but as many are recorded as may be, so it will not come back after
// a loss. Delete what is not needed, mark it NoReplay, or raise the limit.
var ErrFull = errors.New("topology: the record is full")

// RecordStats counts what a client has recorded, for metrics.
type RecordStats struct {
	Exchanges int
	Queues    int
	Bindings  int
	Limit     int // how many there may be of all together
	Refused   int // how many were not recorded for the limit
	Expired   int // how many queues were forgotten for their x-expires
}
