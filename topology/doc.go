// Package topology describes exchanges, queues and bindings, and knows what RabbitMQ makes of them.
//
// [Topology] is plain data: what an application hands over to be declared, what its client has recorded, and
// what is read from files and from brokers. Everything here is pure. Package topology/compare tells how a
// topology stands to what a broker has.
package topology
