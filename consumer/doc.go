// Package consumer consumes queues across outages: a [Consumer] is a logical
// handle that subscribes again on every session and never mixes deliveries of
// one with another.
//
// A delivery belongs to the channel that brought it. When that channel is
// gone, the handler's context ends with the cause, prefetched deliveries never
// reach a handler, and an ack writes nothing: the broker delivers the message
// again.
package consumer
