// Package live holds the tests of package core against a RabbitMQ in a
// container. Where no container engine answers they are skipped.
package live
