package warren

// Members returns how many publishers and consumers the client remembers.
func Members(c *Client) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.publishers) + len(c.consumers)
}
