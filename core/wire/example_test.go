package wire_test

import (
	"fmt"
	"log"

	"github.com/warren-mq/warren/core/wire"
)

// A message is a method, a header and a body, appended to one slice and written at once.
func Example() {
	body := []byte("hello")
	out, err := wire.AppendPublish(nil, 1, "orders", "eu.created", true, false)
	if err != nil {
		log.Fatal(err)
	}
	out, err = wire.AppendHeader(out, 1, wire.ClassBasic, uint64(len(body)), &wire.Properties{
		DeliveryMode: 2,
		Headers:      wire.Table{"retries": 3},
	})
	if err != nil {
		log.Fatal(err)
	}
	out = wire.AppendBody(out, 1, body, 131072)

	var d wire.Decoder
	for len(out) > 0 {
		frame, n, err := wire.ParseFrame(out, 131072)
		if err != nil {
			log.Fatal(err)
		}
		out = out[n:]
		switch frame.Type {
		case wire.FrameMethod:
			m, err := d.Method(frame.Payload)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(m.ID(), m.(*wire.BasicPublish).RoutingKey)
		case wire.FrameHeader:
			h, err := d.Header(frame.Payload)
			if err != nil {
				log.Fatal(err)
			}
			retries, _ := wire.LookupHeader(h.Properties, "retries")
			fmt.Println(h.BodySize, "octets, retries", retries)
		case wire.FrameBody:
			fmt.Printf("%s\n", frame.Payload)
		}
	}
	// Output:
	// basic.publish eu.created
	// 5 octets, retries 3
	// hello
}

// An error names the value that has no form on the wire, and nothing has been written.
func ExampleValidateTable() {
	err := wire.ValidateTable(wire.Table{
		"x-queue-type": "quorum",
		"x-overflow":   []any{"reject-publish", struct{}{}},
	})
	fmt.Println(err)
	// Output: wire: x-overflow[1]: type struct {} has no form in a field table
}

func ExampleReplies() {
	fmt.Println(wire.Replies(wire.MethodBasicGet))
	// Output: [basic.get-ok basic.get-empty]
}
