package core

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// applyQuery applies the query parameters of an AMQP URL that RabbitMQ
// documents. An unknown one is an error: a typing mistake in a timeout must
// not go unnoticed. (RabbitMQ, "URI Query Parameters".)
func (c *Config) applyQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return errors.New("query: not name=value&…, percent-encoded")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		if name == "auth_mechanism" {
			if err := c.applyMechanisms(values); err != nil {
				return err
			}
			continue
		}
		if len(values) != 1 {
			return fmt.Errorf("query parameter %s is given %d times", name, len(values))
		}
		if err := c.applyParameter(name, values[0]); err != nil {
			return fmt.Errorf("query parameter %q: %w", name, err)
		}
	}
	return c.applyTLSParameters(query)
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
	case "cacertfile", "certfile", "keyfile", "server_name_indication", "verify":
		return nil // together: see applyTLSParameters
	default:
		return errors.New("unknown; known are auth_mechanism, cacertfile, certfile, channel_max, connection_name, " +
			"connection_timeout, frame_max, heartbeat, keyfile, server_name_indication and verify")
	}
}

// applyTLSParameters takes the files and the server name, for amqps only.
// Verification is not for a URL to turn off.
func (c *Config) applyTLSParameters(query url.Values) error {
	if v := query.Get("verify"); v != "" && v != "verify_peer" {
		return errors.New("query parameter verify: only verify_peer; to go without, set Config.TLS")
	}
	files := TLSFiles{
		CA: query.Get("cacertfile"), Cert: query.Get("certfile"), Key: query.Get("keyfile"),
		ServerName: query.Get("server_name_indication"),
	}
	switch {
	case files == TLSFiles{}:
		return nil
	case c.TLS == nil:
		return errors.New("query parameters for TLS need the scheme amqps")
	case (files.Cert == "") != (files.Key == ""):
		return errors.New("query parameters certfile and keyfile belong together")
	}
	c.TLS = files.Load
	return nil
}

func (c *Config) applyMechanisms(names []string) error {
	for _, name := range names {
		m, ok := mechanismsByName[strings.ToUpper(name)]
		if !ok {
			return fmt.Errorf("query parameter auth_mechanism: unknown; known are %s",
				strings.Join(slices.Sorted(maps.Keys(mechanismsByName)), ", "))
		}
		c.Mechanisms = append(c.Mechanisms, m())
	}
	return nil
}

var mechanismsByName = map[string]func() Mechanism{
	"AMQPLAIN": AMQPlain, "ANONYMOUS": Anonymous, "CRAM-MD5": CRAMMD5, "EXTERNAL": External, "PLAIN": Plain,
}
