// Package brokertest is an AMQP 0.9.1 broker in memory that behaves as RabbitMQ 4.3 does, for tests of
// services and of clients.
//
//	b := brokertest.New(t)
//	conn, err := amqp.Dial(b.URL()) // or any other client
//
// [Broker.URL] is an address on the loopback interface. [Broker.DialContext] connects without a socket, and
// so works inside a [testing/synctest] bubble, where hours pass in an instant; make the broker inside the
// bubble too. The broker ends with the test, and keeps nothing.
//
// What a broker does to its clients on bad days can be ordered: [Broker.Cut], [Broker.Restart],
// [Broker.Block], [Broker.CloseConnections] and others. What it holds can be looked at: [Broker.Queues],
// [Broker.Bindings], [Broker.Consumers], [Broker.Connections].
//
// That it behaves as RabbitMQ is shown by scenarios that are played to both and must end the same. It is one
// node: nothing of clusters is here, and no policies, no plugins and no TLS.
package brokertest
