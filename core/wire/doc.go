// Package wire turns AMQP 0.9.1 frames into Go values and back: frames, methods, field tables and
// message properties, with RabbitMQ's extensions. It holds bytes only: no I/O, no clock, no goroutine.
// Both sides of a connection can use it.
//
// # Encoding
//
// Every Append function appends whole frames to a slice and returns it, so that one write can carry many
// of them. What can be refused is refused before anything is kept: on an error, a [*FieldError] that names
// the field, the slice comes back as long as it was.
//
//	out, err := wire.AppendPublish(out, 1, "orders", "eu.created", true, false)
//	out, err = wire.AppendHeader(out, 1, wire.ClassBasic, uint64(len(body)), &properties)
//	out = wire.AppendBody(out, 1, body, frameMax)
//
// A frame that carries a method or a content header cannot be split. These functions do not know the
// negotiated frame size: compare the growth of the slice with it.
//
// # Decoding
//
// [ParseFrame] cuts one frame off a buffer; a [Decoder] decodes its payload. Nothing in a payload is
// believed before it is checked: no length, count or depth found there leads to an allocation larger than
// a small multiple of the payload, the work is linear in it, and no input panics. What breaks the protocol
// is a [*Error] with the reply code that AMQP gives to the fault.
//
// # Methods
//
// Each method is a struct that lists its fields once, in wire order; the list serves encoding, decoding
// and the tests that compare it with the specification. Fields that the specification reserves are zero on
// the wire, ignored when read, and absent from the structs. Publish, deliver, ack, nack and reject also
// have functions of their own that do not allocate.
//
// # Field tables
//
// Tables use the types that RabbitMQ uses (https://www.rabbitmq.com/amqp-0-9-1-errata, section 3), which
// differ from the specification: s is a 16-bit integer, l is signed, x is a byte array. See [Table].
package wire
