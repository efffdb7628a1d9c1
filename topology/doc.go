// Package topology describes exchanges, queues and bindings, remembers which
// of them an application declared, and declares them again.
//
// [Topology] is plain data: what an application hands over, what a [Recorder]
// returns as its snapshot, and what a replay works from. Everything here is
// pure except what takes a connection: [Replay] and its kin.
package topology
