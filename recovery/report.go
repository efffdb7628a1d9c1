package recovery

import (
	"fmt"
	"strings"
	"time"
)

// Report is one recovery, from the loss to publish-ready.
type Report struct {
	Cause    error // why the connection was lost
	Attempts int   // dials, the successful one included
	Endpoint string
	Lost     time.Time
	Dial     time.Duration            // from the loss to an open connection
	Phases   map[string]time.Duration // of the replay: survey, exchanges, queues, bindings
	Total    time.Duration            // from the loss to publish-ready

	// What became of the topology.
	Declared int       // entities declared, those that existed as asked for included
	Survived int       // queues that are still there, and were left alone
	Failed   []Failure // in quarantine, tried again in the background
	Skipped  []Failure // left until the next connection, as the application decided
	Adopted  []string  // taken as they are, as the application decided
	// Recreated are queues that should have survived and were gone. When some
	// hundreds are, everything is declared, and only streams are told apart.
	Recreated []string
	Renamed   map[string]string // old queue name → new

	// The report of [EventResumed] has, beside what that of [EventRecovered] has, the
	// time from the loss to consume-ready, and what became of each consumer.
	ConsumeReady time.Duration
	Consumers    []Outcome

	// Tally is what became of messages since the last report. Stale acks come
	// when handlers notice, and so mostly count for the next one.
	Tally Tally
}

// Outcome is what became of a consumer, or of a channel with its consumers.
type Outcome struct {
	Consumer string
	After    time.Duration // from the loss until it was established
	Refused  []Failure     // what was refused at last before; it was tried again
}

// String returns the report in one line.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "recovered from %v after %s: %d attempts, %d declared, %d failed, %d renamed",
		r.Cause, r.Total.Round(time.Millisecond), r.Attempts, r.Declared, len(r.Failed), len(r.Renamed))
	for _, n := range []struct {
		count int
		what  string
	}{
		{r.Survived, "survived"},
		{len(r.Recreated), "recreated"},
		{len(r.Adopted), "adopted"},
		{len(r.Skipped), "skipped"},
		{r.Tally.Unknown, "publishes to be sent again"},
		{r.Tally.NotSent, "publishes not sent"},
		{r.Tally.StaleAcks, "stale acks"},
	} {
		if n.count > 0 {
			fmt.Fprintf(&b, ", %d %s", n.count, n.what)
		}
	}
	if r.Consumers != nil {
		fmt.Fprintf(&b, ", %d consumers, consume-ready after %s", len(r.Consumers), r.ConsumeReady.Round(time.Millisecond))
	}
	return b.String()
}

// Tally counts what losses did to messages, for the next [Report].
type Tally struct {
	Unknown   int // publishes that ended without a verdict
	NotSent   int // publishes that had not been handed to the socket
	StaleAcks int // acks that came after their channel was gone
}
