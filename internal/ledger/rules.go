package ledger

import "time"

// Rules are what a scenario expects beyond what always holds. The zero value is
// right for a scenario without promises of its own; a rule with its zero value is
// not checked.
type Rules struct {
	Queues     []string       // each must deliver every confirmed message; none: any queue may
	AtMostOnce bool           // the client does not publish again what was not confirmed
	Patient    bool           // the application waits until each message is confirmed or returned
	Replay     bool           // each publisher sends on one channel at a time, one after the other, and replays in order
	Streams    []string       // queues that bring again everything from the first delivery on that was not settled, and never say so
	Chunked    []string       // queues that deliver what they have stored together, beyond the prefetch
	Unflagged  []string       // queues whose broker may forget that it has delivered a message: its node stops under a consumer on another
	Ordered    []string       // queues with one active consumer of one worker, fed by such publishers
	Prefetch   map[string]int // declared, by queue
	Consumers  map[string]int // registered, by queue

	MaxPublications int           // of one message
	MaxPending      int           // publishes of one publisher without a result
	MaxDials        int           // within a second
	MaxWait         time.Duration // between attempts to connect, which are spread evenly below it
	Growth          int           // of the heap, in bytes; 0 is none
	Recovery        time.Duration // from the end of a fault to progress
	Deadline        time.Duration // from a publish to its result

	MinConfirmed   int // the least that makes a run worth its verdict
	MinConsumed    int
	MinReturned    int
	MinRequeued    int // settled by giving them back
	MinUnresolved  int // publishes whose verdict was cut off: else no replay was seen
	MinRedelivered int
	MinPending     int            // publishes of some publisher without a result, at the peak
	MinOutstanding map[string]int // unsettled deliveries of a consumer at the peak, by queue

	Residence time.Duration // of a confirmed message in its queue, at most: who was there longer a loss does not excuse; 0: as Grace

	Grace time.Duration // what happens this long before the end of a channel may go unheard; 0: a second
}

func (r *Rules) grace() int64 {
	if r.Grace > 0 {
		return int64(r.Grace)
	}
	return int64(time.Second)
}

func (r *Rules) residence() int64 {
	if r.Residence > 0 {
		return int64(r.Residence)
	}
	return r.grace()
}

// Facts are what was seen of broker and process once the run was over.
type Facts struct {
	Drained       bool     // the queues were read until they were empty, and the broker says so
	Left          int      // messages that the broker still holds, though the queues should be empty
	Declared      []string // entities and bindings that should be there, one string each; nil: not looked at
	Actual        []string // those that are
	Registered    []string // consumers that should be there, one string each; nil: not looked at
	Active        []string // those that the broker lists as up
	Before, After Resources
	Waits         []time.Duration // of all clients between a failed attempt to connect and the next
}
