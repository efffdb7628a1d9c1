// Package document reads and writes topologies as text: YAML and JSON of this
// project's own form, and the definitions that RabbitMQ exports and imports.
//
// A document that is wrong is refused as a whole, with every mistake that was
// found, each an [*Error] with its line and field. Unknown fields are
// mistakes. What is written can be read again and is then the same; only the
// widths of whole numbers in arguments of exchanges and queues, which RabbitMQ
// does not tell apart, become the least that hold them. What a broker makes by
// itself is not written, see [topology.Topology.Declarable]; definitions lose more,
// see [ParseDefinitions] and [Definitions.Set].
package document
