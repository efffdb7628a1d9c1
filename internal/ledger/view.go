package ledger

import "math"

// never is the time of what did not happen.
const never = math.MaxInt64

// view is a history arranged for the invariants, which only read it.
type view struct {
	index
	rules   *Rules
	facts   *Facts
	history *History
	end     int64 // time of the last record
	grace   int64
	wire    bool // there is a wire ledger
	going   bool // the run is not over

	attempts     map[attemptKey]int // of the application, from the second on
	messages     []message          // by slot
	queues       int
	handled      []uint16            // deliveries to handlers, by queue and slot
	handledFirst []uint16            // those of them without the redelivered flag
	succeeded    []int64             // first end of a handler without error, by queue and slot
	succeeded2   map[copyKey][]int64 // the others
	brought      []uint16            // deliveries on the wire, by queue and slot
	broughtFirst []uint16            // those of them without the redelivered flag
	revived      map[copyKey]uint16  // those of broughtFirst that were dead-lettered on their way
	publications []publication
	deliveries   []delivery
	epochs       []epoch       // by number
	strangers    [2][]stranger // to handlers, on the wire
	oddities     []oddity
	windows      []lossWindow
	faults       []faultView // by number
	faultRecords []Record
	calls        []Record
	dials        []int64 // times
	down         outage
	cancels      []cancelled
}

type attemptKey struct {
	pub uint32
	seq uint64 // with the attempt
}

// message is one attempt of the application to publish one message.
type message struct {
	invoked, resulted int64
	acked             int64 // first ack of a publication that was not returned
	published         int64 // last publication on the newest of its connections
	conn              uint32
	crc               uint32
	outcome           Outcome
	results           uint8
	publications      uint16
	ackedUnreturned   uint16
	returns           uint16
	handlersOK        uint16
	settledOK         uint16 // acks on the wire
	unsettled         uint16 // deliveries whose channel ended first, or may have
	open              uint16 // deliveries still unsettled
	got               uint16 // deliveries by basic.get
	route             uint16 // of its publications
	asked             uint16 // route that the application asked for; 0: not told
	replaced          bool   // the application tried again
	cutOff            bool   // a channel ended before the verdict on it
	refused           bool   // nacked, or returned, once
}

// publication is a basic.publish.
type publication struct {
	slot         int32 // -1: not a message of the run
	epoch        uint32
	time         int64
	verdictTime  int64
	number       uint64 // on its channel
	publisher    uint32
	verdict      verdict
	flags        Flags
	returned     bool
	afterTheFact bool // of the server's close of its channel
}

type verdict uint8

const (
	noVerdict verdict = iota
	acked
	nacked
)

// delivery is a basic.deliver or get-ok.
type delivery struct {
	slot            int32 // -1: not a message of the run
	epoch           uint32
	tag             uint64
	consumer, queue uint16
	route           uint16
	flags           Flags
	settlement      settlement
	time, settled   int64
	known           bool // its consumer was registered
}

type settlement uint8

const (
	open settlement = iota
	settledAck
	settledRequeue
	settledDrop
)

const noQueue = 1<<16 - 1

// epoch is a channel from its open to its end.
type epoch struct {
	conn, channel  uint32
	opened, closed int64
	silence        int64 // of the broker before the end
	read           int64 // up to when it has read what came, as its deliveries show
	flags          Flags
	code           uint16
	confirms       bool
	prefetch       uint64
	pubs           []int32 // publications; in confirm mode, the one with tag n at n-1
	firstConfirmed int     // publications before that one do not count
	confirmedUpTo  int     // of pubs, all
	delivered      []int32 // deliveries; the one with tag n at n-1
	settledUpTo    int     // of delivered, all
	consumers      []consumerView

	pubsAhead, deliveriesAhead int // how many there will be
}

type consumerView struct {
	queue       uint16
	prefetch    int
	noAck       bool
	begun       int64
	ended       int64 // never: still there
	revoked     int64 // by the server: what it holds comes again
	outstanding int
	worst       int // most outstanding
	room        room
}

// cancelled is a consumer that the server cancelled.
type cancelled struct {
	epoch    uint32
	consumer uint16
	time     int64
	answered bool
}

// stranger is a delivery that matches nothing that was published.
type stranger struct {
	Record
	why string
}

// oddity is a frame that does not fit its channel.
type oddity struct {
	rule  string
	blame Blame
	slot  int
	epoch uint32
	tag   uint64
	time  int64
	text  string
}

type lossWindow struct {
	queue      uint16
	begun, end int64
}

type faultView struct {
	begun, effects, ended int
	heals                 []int64
}

// heard reports whether the client must have read what passed at that time on that channel.
func (v *view) heard(e *epoch, at int64) bool { return min(e.closed, v.end) > at+v.grace }

// reached reports whether the broker must have read it. A broker that is frozen, or behind a dead link, reads
// nothing, and what waits for it is lost with the connection: only signs of life that are younger say that it did.
func (v *view) reached(e *epoch, at int64) bool {
	return min(max(e.closed-e.silence, e.read), v.end) > at+v.grace
}

// slotOf returns the slot of the attempt that r is about.
func (v *view) slotOf(r *Record) (int, bool) {
	if r.attempt() > 1 {
		slot, ok := v.attempts[attemptKey{r.Pub, r.Seq}]
		return slot, ok
	}
	return v.slot(r)
}
