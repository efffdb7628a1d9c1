package recovery

// Holds notes that the member, which is established on s, holds something that
// it can do nothing with. It does nothing if it is not, or no more.
func (m *Member) Holds(s *Session, err error) {
	c := m.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.left || m.epoch != s.Epoch {
		return
	}
	c.count(m, -1)
	m.failures = []Failure{{m.name, err}}
	c.count(m, 1)
	c.update()
}
