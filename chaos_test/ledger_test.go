package chaos

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// tap has the ledger see every frame that passes between clients and a broker from now on. A load is judged by
// the wire only if all its brokers are tapped before it connects.
func tap(l *ledger.Ledger, nodes ...*broker) {
	for _, b := range nodes {
		b.proxy.Observe(func() faultproxy.Observer { return l.Conn() })
	}
}

// slack is how many publishes more than its window a load may have without a result: the ledger learns of a result a
// moment later than the publisher, by a goroutine of its own.
func (p plan) slack() int { return p.window + 100 }

const (
	// maxDials is how many connections a load may open within a second. Each of the client's waits a random time below
	// a second between attempts, so that more than ten in one are as good as impossible; the harness knocks ten times.
	maxDials = 40
	// maxRefusals is how often a message may be published again without the loss of a channel: one that was returned
	// right after a recovery is tried again with growing pauses, until its grace is over.
	maxRefusals = 20
	// growth is how much larger the heap may be after a load: what the test itself keeps.
	growth = 32 << 20
	// manyKills cut off a verdict and an ack, somewhere in the run: of a single one that may not be, by luck.
	manyKills = 3
	// minSpread is how many waits tell how they are spread.
	minSpread = 30
)

// rules are what a load is to keep: what the library promises, as far as a load can tell.
func (l *load) rules() ledger.Rules {
	rules := ledger.Rules{
		Queues: []string{mainQueue}, Replay: true, Patient: true,
		Prefetch:  map[string]int{mainQueue: l.plan.prefetch},
		Consumers: map[string]int{mainQueue: 1},

		MaxPublications: 1 + l.events.count(0, lost) + l.events.count(0, kind(recovery.EventChannelLost)) + maxRefusals,
		MaxPending:      l.plan.window + l.plan.slack(),
		MaxDials:        maxDials,
		Growth:          growth,
		Recovery:        recoverTimeout,
		Deadline:        l.longest + recoverTimeout,
		Residence:       time.Second, // messages flow before a queue is deleted

		MinConfirmed: l.plan.messages, MinConsumed: l.plan.messages,
		MinReturned:   l.plan.messages / strayEvery,
		MinUnresolved: l.muted + l.kills/manyKills,
	}
	if !l.plan.stream() { // which takes nothing back
		rules.MinRequeued = l.plan.messages / refuseEvery / 2 // the others lost their channel first
		rules.MinRedelivered = rules.MinRequeued + l.kills/manyKills
	}
	if l.filled {
		rules.MinOutstanding = map[string]int{mainQueue: (l.plan.prefetch + 1) / 2}
	}
	if l.muted > 0 && l.plan.rate*int(l.plan.heartbeat/time.Second) >= l.plan.window { // silence lasts longer than that
		rules.MinPending = (l.plan.window + 1) / 2
	}
	if l.plan.stream() {
		rules.Streams = []string{mainQueue}
		if l.node.version == "3.10" {
			rules.Chunked = rules.Streams
		}
	}
	if l.plan.unflagged() {
		rules.Unflagged = []string{mainQueue}
	}
	if l.plan.workers == 1 {
		rules.Ordered = []string{mainQueue}
	}
	if len(l.waits()) >= minSpread {
		rules.MaxWait = longestWait
	}
	return rules
}

// unchecked are the rules that cannot be asked of a load of this plan.
func (l *load) unchecked(rules ledger.Rules) (names []string) {
	if rules.Ordered == nil {
		names = append(names, "S9")
	}
	names = append(names, "S17 (at the broker)") // its inventory, which S16 compares, has the consumers
	if rules.MaxWait == 0 {
		names = append(names, "L4 (spread)")
	}
	return names
}

// waits are those between attempts to connect that were not made at once.
func (l *load) waits() (waits []time.Duration) {
	for _, e := range l.events.since(0) {
		if e.Kind == recovery.EventRetrying && e.Delay > 0 {
			waits = append(waits, e.Delay)
		}
	}
	return waits
}

// stock is what is held by clients, in the process and at the brokers: other goroutines and files are the harness's,
// which keeps connections to the container engine as it likes.
func (l *load) stock() ledger.Resources {
	held := ledger.Resources{Goroutines: len(libraryGoroutines()), Heap: ledger.Stock().Heap}
	for _, b := range l.brokers() {
		held.Connections += b.proxy.Conns()
	}
	return held
}

// stockBack is stock once goroutines and connections are back where they were, or after a while.
func (l *load) stockBack() (now ledger.Resources) {
	eventually(l.ctx, leakTimeout, func() bool {
		now = l.stock()
		return now.Goroutines <= l.held.Goroutines && now.Connections <= l.held.Connections
	})
	return now
}

// now returns the time of the last record.
func (l *load) now(t *testing.T) (last int64) {
	t.Helper()
	history, err := l.ledger.History()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range history.Parts {
		if n := len(part); n > 0 {
			last = max(last, part[n-1].Time)
		}
	}
	return last
}

// judge has the history of a load checked by every rule that it is to keep: what happened until then, when its queues
// had run empty, what the broker held then, and what was left when the client was closed.
func (l *load) judge(t *testing.T, until int64, drained bool, after string) {
	t.Helper()
	rules := l.rules()
	facts := ledger.Facts{Drained: drained, Before: l.held, After: l.stockBack(), Waits: l.waits()}
	if after != "" { // else nobody could look, and that was told
		facts.Declared, facts.Actual = strings.Split(l.before, "\n"), strings.Split(after, "\n")
	}
	history, err := l.ledger.History() // not before the heap was measured
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range history.Parts {
		if n := slices.IndexFunc(part, func(r ledger.Record) bool { return r.Time > until }); n >= 0 {
			history.Parts[i] = part[:n]
		}
	}
	report := history.Check(rules, facts)
	if want := l.unchecked(rules); !t.Failed() && !slices.Equal(report.NotChecked, want) {
		t.Errorf("not checked: %q, want only %q", report.NotChecked, want)
	}
	if report.Verdict() != ledger.Green {
		t.Errorf("%s", report)
		return
	}
	t.Logf("verdict: %s; from the end of a fault to progress: %+v", report.Verdict(), report.Recovery)
}

// TestManyKillsMustShowReplay looks what a load asks of its history to be worth its verdict.
func TestManyKillsMustShowReplay(t *testing.T) {
	for _, c := range []struct {
		plan                    plan
		muted, kills            int
		unresolved, redelivered int
	}{
		{plan{}, 0, 1, 0, 10},
		{plan{}, 0, 3, 1, 11},
		{plan{}, 2, 50, 18, 26},
		{plan{queue: topology.Stream}, 0, 3, 1, 0}, // it has no redelivered flag
	} {
		l := &load{plan: c.plan.withDefaults(), node: &broker{}, muted: c.muted, kills: c.kills}
		if r := l.rules(); r.MinUnresolved != c.unresolved || r.MinRedelivered != c.redelivered {
			t.Errorf("%+v: %d unresolved, %d redelivered at least", c, r.MinUnresolved, r.MinRedelivered)
		}
	}
}

// TestALoadIsJudgedByEveryRule looks which rules a load's ledger is not asked about.
func TestALoadIsJudgedByEveryRule(t *testing.T) {
	for _, workers := range []int{1, 2} {
		l := &load{plan: plan{workers: workers}.withDefaults(), ledger: ledger.New(1)}
		for range minSpread {
			l.events.add(warren.Event{Kind: recovery.EventRetrying, Delay: time.Second})
		}
		conn := l.ledger.Conn()
		conn.ToBroker(wire.Frame{Type: wire.FrameMethod, Channel: 1, Payload: []byte{0, 20, 0, 10, 0}}) // channel.open
		l.ledger.Called("close", 0, 0, nil)
		rules := l.rules()
		report, err := l.ledger.Check(rules, ledger.Facts{
			Drained: true, Before: ledger.Resources{Heap: 1}, Declared: []string{}, Waits: l.waits(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := l.unchecked(rules); !slices.Equal(report.NotChecked, want) {
			t.Errorf("%d workers: not checked: %q, want only %q", workers, report.NotChecked, want)
		}
	}
}
