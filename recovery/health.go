package recovery

import "time"

// Health is what a probe wants to know of a connection, at one moment.
type Health struct {
	Connection string // its name
	// Live: the connection is open or being recovered. If not, it was closed or
	// given up, and only a new client helps: restart.
	Live bool
	// Ready: everything is as the application declared it. If not, State tells
	// what is missing; it is being worked on.
	Ready bool

	State    State
	Endpoint string    // of the present connection
	Since    time.Time // when it was announced; zero while there is none
	Blocked  string    // why the broker takes no publishes; "": it does
	Losses   int       // connections lost so far
	// While there is no connection: attempts since the loss, and when the next is made.
	Attempts int
	Next     time.Time
}

// Err returns nil if ready, else the reason in one line.
func (h Health) Err() error {
	return h.State.Err()
}
