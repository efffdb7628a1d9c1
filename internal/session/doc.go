// Package session keeps a logical connection alive: a supervisor dials, replays
// the topology, announces the result as a [Session], and starts over when the physical
// connection is lost. What users read and write of it is in package recovery.
package session
