// Package publisher publishes messages across outages: each ends in exactly
// one outcome, and what the broker has not confirmed is published again, in
// order, until it is.
//
// A [Publisher] is a logical handle. It opens a private channel in confirm
// mode on whatever session its connection has, and a new one when that dies.
package publisher
