package brokertest_test

import (
	"fmt"
	"net"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core/wire"
)

func Example() {
	b := brokertest.NewBroker() // in a test: brokertest.New(t)
	defer b.Close()

	// Any AMQP client would take b.URL(), or b.DialContext; this one says only hello.
	client, err := net.Dial("tcp", b.Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	fmt.Fprint(client, wire.ProtocolHeader)
	answer := make([]byte, 4096)
	n, err := client.Read(answer)
	fmt.Println("answered:", n > 0, err)

	b.Cut()
	_, err = client.Read(answer)
	fmt.Println("lost:", err != nil)
	// Output:
	// answered: true <nil>
	// lost: true
}

// What a service is to consume comes from the test, and what it has published is looked at.
func ExampleBroker_Publish() {
	b := brokertest.NewBroker()
	defer b.Close()

	// … the service under test declares its queue …
	routed, err := b.Publish("amq.topic", "order.created", wire.Properties{ContentType: "application/json"}, []byte(`{}`))
	fmt.Println("a queue has taken it:", routed, err)
	for _, m := range b.Messages("invoices") {
		fmt.Println(m.RoutingKey, string(m.Body))
	}
	// Output: a queue has taken it: false <nil>
}

// The third publish is never confirmed.
func ExampleBroker_OnReceive() {
	b := brokertest.NewBroker()
	defer b.Close()

	hook := b.OnReceive(wire.MethodBasicPublish, brokertest.Nth(3, brokertest.Unconfirmed))
	// … the service under test publishes …
	if hook.Hits() < 3 {
		fmt.Println("there was no third publish: the test shows nothing")
	}
	// Output: there was no third publish: the test shows nothing
}
