// Package memnet is a network in memory, for tests: connections that buffer
// and block as TCP's do, listeners to dial, and faults to turn on and off.
//
// It starts no goroutine and waits on channels and timers only, so that it
// works inside a testing/synctest bubble: a goroutine that waits in Read,
// Write, Accept or DialContext is durably blocked, and deadlines and delays
// pass in fake time. Make connections and networks inside the bubble that
// uses them.
package memnet
