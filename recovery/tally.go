package recovery

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
