// Package live holds the tests of the whole client against a RabbitMQ in a
// container. Where no container engine answers they are skipped.
package live
