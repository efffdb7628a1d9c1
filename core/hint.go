package core

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/warren-mq/warren/core/wire"
)

// hint guesses at the cause where the server gives none that helps. answer is
// what it has sent and nobody has understood.
func (h *handshake) hint(err error, answer []byte) string {
	switch {
	case h.step == "start":
		return strangerHint(err, answer, h.cfg.Addr)
	case errors.Is(err, ErrAuth) && h.username == "guest":
		return "RabbitMQ lets the user guest in from its own host only, and a container is another host: use another user, or set loopback_users = none where that is safe"
	case !hungUp(err):
		return ""
	}
	switch h.step {
	case "auth":
		return "the server closed the socket without a reason, probably because it refused the credentials"
	case "tune":
		return "the server closed the socket, probably because it refused the tuning"
	case "open":
		return "the server closed the socket, probably because of the vhost or the tuning"
	}
	return ""
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// strangers are what listens on ports that are taken for AMQP's.
var strangers = map[string]string{
	"5671":  "the port of AMQP with TLS: use amqps",
	"15671": "the port of the management API (HTTPS); AMQP's is usually 5672, or 5671 with TLS",
	"15672": "the port of the management API (HTTP); AMQP's is usually 5672, or 5671 with TLS",
	"15692": "the port of the Prometheus metrics (HTTP); AMQP's is usually 5672, or 5671 with TLS",
	"5552":  "the port of the stream protocol; AMQP's is usually 5672, or 5671 with TLS",
	"5551":  "the port of the stream protocol with TLS; AMQP's is usually 5672, or 5671 with TLS",
	"25672": "the port between the nodes of a cluster; AMQP's is usually 5672, or 5671 with TLS",
	"1883":  "the port of MQTT; AMQP's is usually 5672, or 5671 with TLS",
	"61613": "the port of STOMP; AMQP's is usually 5672, or 5671 with TLS",
}

// strangerHint guesses at what listens where something else than an AMQP 0.9.1
// server has answered the protocol header: by what it sent, else by its port.
func strangerHint(err error, answer []byte, addr string) string {
	switch {
	case len(answer) >= len(wire.ProtocolHeader) && bytes.HasPrefix(answer, []byte("AMQP")):
		id, v := answer[4], answer[5:8]
		return fmt.Sprintf("the server does not speak AMQP 0.9.1, but offers protocol %d, version %d.%d.%d", id, v[0], v[1], v[2])
	case bytes.HasPrefix(answer, []byte("HTTP/")):
		return "an HTTP server answers; AMQP's port is usually 5672, or 5671 with TLS"
	case len(answer) >= 3 && (answer[0] == 0x15 || answer[0] == 0x16) && answer[1] == 3:
		return "the server speaks TLS on this port: use amqps"
	}
	_, port, _ := net.SplitHostPort(addr) // checked by validate
	stranger, known := strangers[port]
	silent := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case !hungUp(err) && !silent && len(answer) == 0:
		return ""
	case known:
		return "port " + port + " is usually " + stranger
	case silent:
		return "nothing was answered: is this the port of AMQP (usually 5672), and without TLS?"
	}
	return "no AMQP 0.9.1 server seems to listen here; its port is usually 5672, or 5671 with TLS"
}

// withoutStep takes what the step already says from the front of an error's text.
func withoutStep(step, text string) string { return strings.TrimPrefix(text, step+": ") }
