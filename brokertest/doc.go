// Package brokertest is an AMQP 0.9.1 broker in memory that behaves as RabbitMQ 4.3 does, for tests of
// services and of clients.
//
//	b := brokertest.New(t)
//	conn, err := amqp.Dial(b.URL()) // or any other client
//
// [Broker.URL] is an address on the loopback interface. [Broker.DialContext] connects without a socket, and
// so works inside a [testing/synctest] bubble, where hours pass in an instant; make the broker inside the
// bubble too. [Await] waits for a condition, in a bubble and without. The broker ends with the test, and keeps
// nothing.
//
// What a broker does to its clients on bad days can be ordered: [Broker.Cut], [Broker.Restart],
// [Broker.Block], [Broker.CloseConnections] and others. What it holds can be looked at: [Broker.Queues],
// [Broker.Messages], [Broker.Bindings], [Broker.Consumers], [Broker.Connections]. [Broker.Publish] gives the service
// under test something to do.
//
// Clients may connect by TLS: [Broker.TLSURL]. What an operator sets up is there the way clients see it: users,
// permissions and topic permissions ([Broker.SetPermissions], [Broker.SetTopicPermissions]), policies
// ([Broker.SetPolicy]), alarms and deletions.
//
// That it behaves as RabbitMQ is shown by scenarios that are played to both and must end the same; some tell
// what RabbitMQ 4.0 and 3.10 do otherwise, see [WithVersion]. What it does not do:
//
//   - It is one node in memory. Nothing of clusters is here, and what is confirmed is on no disk.
//   - What a quorum queue delays (x-delayed-retry-type) it keeps for as many times x-delayed-retry-min as the message has come back.
//   - A quorum queue that refuses publishes (x-overflow=reject-publish) refuses those of every channel, from the
//     first message beyond its limit: RabbitMQ tells each publisher a moment later.
//   - The exchange type x-local-random is not there.
//   - A message that has died 200 times in a row without a client in between is dropped, even if it goes in no
//     circle; and x-dead-letter-strategy is taken, but all dead letters go as with at-most-once.
//   - Streams count bodies alone to fill a segment, filters (x-stream-filter) let pass exactly what matches, and
//     there is no stream protocol. Headers that RabbitMQ takes for its own annotations (x-basic-priority and the
//     like, x-cc) are dropped, and set no properties.
//   - Operator policies, limits of users and virtual hosts, plugins (delayed messages, shovels, OAuth 2), the
//     management API, and EXTERNAL logins do not exist.
//   - Memory is not limited: a broker alarm is what [Broker.Block] says.
package brokertest
