package core

import (
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// applyQuery applies the query parameters of an AMQP URL that RabbitMQ
// documents. An unknown one is an error: a typing mistake in a timeout must
// not go unnoticed. (RabbitMQ, "URI Query Parameters".)
func (c *Config) applyQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	for name, values := range query {
		if len(values) != 1 {
			return fmt.Errorf("query parameter %s is given %d times", name, len(values))
		}
		if err := c.applyParameter(name, values[0]); err != nil {
			return fmt.Errorf("query parameter %s: %w", name, err)
		}
	}
	return nil
}

func (c *Config) applyParameter(name, value string) error {
	switch name {
	case "heartbeat": // seconds; 0 is none
		n, err := strconv.ParseUint(value, 10, 16)
		c.Heartbeat = time.Duration(n) * time.Second
		if n == 0 {
			c.Heartbeat = -1
		}
		return err
	case "connection_timeout": // milliseconds
		n, err := strconv.ParseUint(value, 10, 31)
		c.HandshakeTimeout = time.Duration(n) * time.Millisecond
		return err
	case "channel_max":
		n, err := strconv.ParseUint(value, 10, 16)
		c.ChannelMax = uint16(n)
		return err
	case "frame_max":
		n, err := strconv.ParseUint(value, 10, 32)
		c.FrameMax = uint32(n)
		return err
	case "connection_name":
		c.Name = value
		return nil
	default:
		return fmt.Errorf("unknown; known are channel_max, connection_name, connection_timeout, frame_max, heartbeat")
	}
}
