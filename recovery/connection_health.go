package recovery

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
