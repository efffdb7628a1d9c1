package document_test

import (
	"fmt"

	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/document"
)

func ExampleParse() {
	t, err := document.Parse([]byte(`
version: 1
exchanges:
  - {name: orders, type: topic}
queues:
  - name: orders.eu
    type: quorum
    arguments: {x-delivery-limit: 5}
bindings:
  - {source: orders, destination: orders.eu, routing_key: eu.#}
`))
	fmt.Println(t.Queues[0], t.Queues[0].Type, err)

	_, err = document.Parse([]byte(`
queues:
  - name: log
    type: stream
    exclusive: true
    durable: true
`))
	fmt.Println(err)
	// Output:
	// queue "orders.eu" quorum <nil>
	// line 6: queues[0].durable: is unknown here; known are arguments, auto_delete, exclusive, name, no_replay, transient, type
}

func ExampleMarshalYAML() {
	text, err := document.MarshalYAML(topology.Topology{
		Queues: []topology.Queue{topology.Queue{Name: "orders", Type: topology.Quorum}.With(topology.DeliveryLimit(5))},
	})
	fmt.Println(string(text), err)
	// Output:
	// version: 1
	// queues:
	//   - name: orders
	//     type: quorum
	//     arguments:
	//       x-delivery-limit: 5
	//  <nil>
}
