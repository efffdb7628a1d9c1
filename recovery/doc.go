// Package recovery keeps a logical connection alive: a supervisor dials,
// replays the topology, announces the result as a [Session], and starts over
// when the physical connection is lost.
//
// Publishers and consumers ask for the session, open a private channel on it,
// and ask again when that dies. Nothing of a dead connection is ever reused.
package recovery
