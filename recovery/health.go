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
	return h.State.why()
}

// Health returns the connection's health. It costs no I/O.
func (c *Connection) Health() Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := Health{Connection: c.cfg.Name, Live: !c.closed, State: c.snapshot(), Losses: c.losses}
	h.Ready = h.State.Ready()
	if c.conn == nil {
		h.Attempts, h.Next = c.attempts, c.nextAttempt
		return h
	}
	h.Endpoint = c.endpoint
	if c.session != nil {
		h.Since = c.session.Since
	}
	if reason, blocked := c.conn.Blocked(); blocked {
		h.Blocked = reason
	}
	return h
}

// Tally counts what losses did to messages, for the next [Report].
type Tally struct {
	Unknown   int // publishes that ended without a verdict
	NotSent   int // publishes that had not been handed to the socket
	StaleAcks int // acks that came after their channel was gone
}

// Tally adds to what the next report counts. Publishers and consumers call it.
func (c *Connection) Tally(t Tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.Unknown += t.Unknown
	c.tally.NotSent += t.NotSent
	c.tally.StaleAcks += t.StaleAcks
}
