// Package warren is an auto-recovering AMQP 0.9.1 client for RabbitMQ.
//
// A [Client] stays while connections come and go. It declares topology and
// declares it again when it was lost, publishes with an honest outcome for each
// message, and consumes with handlers whose acks can only settle the delivery
// that they were given:
//
//	client, err := warren.Dial(ctx, "amqp://localhost")
//	report, err := client.Declare(ctx, warren.Topology{…})
//	pub, err := client.Publisher(publisher.Exchange("orders"))
//	err = pub.Publish(ctx, warren.Message{RoutingKey: "eu.created", Body: body})
//	eu, err := client.Consumer("orders.eu", consumer.Prefetch(200), consumer.Workers(8))
//	err = eu.Start(ctx, handle)
//
// The floors below can be used on their own: package core is one physical
// connection, package recovery a logical one, package topology what is declared.
//
// What the library promises is listed in docs/internals/guarantees.md, each promise with
// the test that proves it.
package warren
