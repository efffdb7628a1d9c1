// Package chaos tests the library against real RabbitMQ brokers that are killed, paused and cut off.
//
// A test gets its broker from startBroker: a container behind a fault proxy, whose address stays the same
// whatever happens to the container. The package is a module of its own, so that users of the library do
// not download a container library.
package chaos
