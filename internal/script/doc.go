// Package script is the text form of AMQP methods: one method a line, its name as in the specification,
// then those of its arguments and message properties that are not zero.
//
//	queue.declare Queue=orders Durable Arguments={x-max-length=10 x-overflow=reject-publish}
//	basic.publish RoutingKey=orders Mandatory DeliveryMode=2 Body="hello"
//
// [Format] writes it and [Parse] reads it, so that what was seen on a wire can be compared with what was
// expected, and played again.
//
// A bare name is true. Strings stand alone where they cannot be mistaken, and in Go's quotes otherwise.
// Numbers of a table carry their type as a suffix; without one they are int32:
//
//	int8 b   int16 s   int64 l   uint8 B   uint16 u   uint32 i   float32 f   float64 d
//
// The other values of tables are true, false, void, @seconds for a time, x"…" for bytes,
// D(value,scale) for a decimal, {key=value …} and [value …].
package script

import "github.com/warren-mq/warren/core/wire"

// Content is the content that follows a method: properties and body.
type Content struct {
	Properties wire.Properties
	Body       []byte
}
