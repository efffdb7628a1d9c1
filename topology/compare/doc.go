// Package compare tells how a topology stands to what a broker has, and makes it exist there without changing
// what differs.
package compare
