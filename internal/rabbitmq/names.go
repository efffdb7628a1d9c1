// Package rabbitmq holds what RabbitMQ makes of names and arguments, for the packages that describe, record and
// compare a topology.
package rabbitmq

import "strings"

// Reserved reports whether a name is the broker's own.
func Reserved(name string) bool { return strings.HasPrefix(name, "amq.") }

// Predeclared returns the type of an exchange that a virtual host has from the start, and whether it is internal.
// It can be declared as it is, which does nothing. Those of logs and events are there where the broker has them
// turned on; elsewhere RabbitMQ refuses their names.
func Predeclared(exchange string) (kind string, internal, ok bool) {
	switch exchange {
	case "amq.direct", "amq.fanout", "amq.topic", "amq.headers":
		return strings.TrimPrefix(exchange, "amq."), false, true
	case "amq.match":
		return "headers", false, true
	case "amq.rabbitmq.trace", "amq.rabbitmq.log", "amq.rabbitmq.event":
		return "topic", true, true
	}
	return "", false, false
}
