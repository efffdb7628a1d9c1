// Package recovery holds the words of recovery: how connections are kept alive
// ([Config]), where they lead ([Resolver]), and what is told of them ([Event],
// [State], [Health], [Report]). The client of the root package does the work.
package recovery
