// Package record remembers what an application declared, plans how to declare it again after a loss, looks
// what a broker still has of it, and declares it, many entities in flight.
package record
