// Package brokertest is an AMQP 0.9.1 broker in memory that behaves as RabbitMQ does, for tests.
package brokertest
