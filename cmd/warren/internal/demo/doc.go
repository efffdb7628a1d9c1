// Package demo is the main job, shown: a stream of numbered messages goes
// through a broker that is killed, cut off and made to close channels, and a
// ledger counts what became of each of them.
package demo
