// Package ledger writes down what a run did and tells whether every promise was kept.
//
// Each message carries its identity and a checksum ([ID]). The application ledger
// notes what the client's API said: a publish and its outcome ([Publisher]), a
// delivery and how its handler ended ([Consumer]). [Ledger.Summary] counts it.
//
// A ledger never waits for the code that it watches, and takes no lock that two
// handles share.
package ledger
