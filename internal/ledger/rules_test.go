package ledger

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// begin is how most scripts start: a channel with confirms, and one with a consumer of queue q.
const begin = "open 1; select 1; open 2; qos 2 10; consume 2 q; "

// one is the life of message 1, from publish to ack.
const one = "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; handle q 1; handled q 1; settle 2 1; "

// rejected is the life of message 1 up to its reject.
const rejected = "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; handle q 1; failed q 1; reject 2 1; "

// stream is the life of two messages up to their deliveries, and again how they come once more.
const (
	stream = "invoke 1; invoke 2; pub 1 1; pub 1 2; acks 1 2; result 1 confirmed; result 2 confirmed; deliver 2 1 1; deliver 2 1 2; handle q 1; handled q 1; handle q 2; handled q 2; "
	again  = "open 3; qos 3 10; consume 3 q; deliver 3 1 1; deliver 3 1 2; handle q 1; handled q 1; handle q 2; handled q 2; settles 3 2"
)

// ruleCases are histories that break one rule or show what it allows.
var ruleCases = []struct {
	name   string
	script string
	rules  Rules
	facts  Facts
	broken string // the rules that must be reported, and no other; blame behind a slash
}{
	{name: "all is well", script: begin + one + "wait"},

	{name: "confirmed and lost by the broker", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed", broken: "S1/broker"},
	{name: "confirmed and lost by the client", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1", broken: "S1/client"},
	{name: "lost in a declared window", script: begin + "lose q; invoke 1; keep q; pub 1 1; ack 1 1; result 1 confirmed"},
	{name: "lost after a declared window", script: begin + "lose q; keep q; invoke 1; pub 1 1; ack 1 1; result 1 confirmed", broken: "S1/broker"},
	{name: "lost long before a declared window", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; wait; lose q; keep q", broken: "S1/broker"},
	{name: "lost in a queue that was slow, as it may be", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; wait; lose q; keep q", rules: Rules{Residence: 10 * time.Second}},
	{name: "missing from one queue of two", script: begin + one, rules: Rules{Queues: []string{"q", "other"}}, broken: "S1/broker"},
	{name: "not confirmed and not delivered", script: begin + "invoke 1; pub 1 1; close 1; result 1 unknown"},

	{name: "never published", script: begin + "deliver 2 1 7; settle 2 1", broken: "S2/broker"},
	{name: "delivered without a publish on the wire", script: begin + "invoke 1; result 1 unknown; deliver 2 1 1; handle q 1; handled q 1; settle 2 1", broken: "S2/broker"},

	{name: "delivered with another key", script: begin + "invoke 1; pub 1 1; result 1 unknown; strange 2 1 1; handle q 1; handled q 1; settle 2 1", broken: "S2/broker"},

	{name: "returned, and never published", script: begin + "return 1 7", broken: "S2/broker"},
	{name: "published on the wire, and nobody asked for it", script: begin + "pub 1 7", broken: "S2/client"},
	{name: "published with another key than asked", script: begin + "to k; invoke 1; pub 1 1; result 1 unknown; deliver 2 1 1; settle 2 1", broken: "S2/client S13/client"},
	{name: "handled with another key than published", script: begin + "to k; invoke 1; pubto 1 1 k; ack 1 1; result 1 confirmed; deliverto 2 1 1 k; receive q 1 other 1; handled q 1; settle 2 1", broken: "S1/client S2/client"},
	{name: "handled with another's header", script: begin + "to k; invoke 1; pubto 1 1 k; ack 1 1; result 1 confirmed; deliverto 2 1 1 k; receive q 1 k 2; handled q 1; settle 2 1", broken: "S1/client S2/client"},
	{name: "handled as published", script: begin + "to k; invoke 1; pubto 1 1 k; ack 1 1; result 1 confirmed; deliverto 2 1 1 k; receive q 1 k 1; handled q 1; settle 2 1"},

	{name: "not sent and published", script: begin + "invoke 1; pub 1 1; close 1; result 1 not sent", broken: "S3/client"},
	{name: "not sent and delivered, and nobody saw the wire", script: "invoke 1; result 1 not sent; handle q 1; handled q 1", broken: "S3/client"},
	{name: "not sent, written after the server's close", script: begin + "invoke 1; refuse 1; pub 1 1; result 1 not sent"},

	{name: "confirmed twice", script: begin + one + "ack 1 1", broken: "S4/broker"},
	{name: "confirm on a channel without confirms", script: "open 1; invoke 1; pub 1 1; ack 1 1; result 1 unknown", broken: "S4/broker"},
	{name: "confirm of what was not published", script: begin + one + "ack 1 2", broken: "S4/broker"},
	{name: "multiple ack of a nacked tag", script: begin + "invoke 1; pub 1 1; nack 1 1; result 1 nacked; acks 1 1"},
	{name: "a confirm unheard", script: begin + "invoke 1; pub 1 1; ack 1 1; wait; result 1 unknown; deliver 2 1 1; handle q 1; handled q 1; settle 2 1", broken: "S4/client"},
	{name: "a confirm lost with its channel", script: begin + "invoke 1; pub 1 1; ack 1 1; close 1; wait; result 1 unknown; deliver 2 1 1; handle q 1; handled q 1; settle 2 1"},
	{name: "a nack unheard", script: begin + "invoke 1; pub 1 1; nack 1 1; wait; result 1 unknown", broken: "S4/client"},
	{name: "given up before its confirm", script: begin + "invoke 1; pub 1 1; result 1 unknown; wait; ack 1 1; wait; deliver 2 1 1; handle q 1; handled q 1; settle 2 1"},
	{name: "given up before its nack", script: begin + "invoke 1; pub 1 1; result 1 unknown; wait; nack 1 1; wait; open 3"},
	{name: "called nacked before its confirm", script: begin + "invoke 1; pub 1 1; result 1 nacked; wait; ack 1 1; wait; open 3", broken: "S4/client"},
	{name: "two results", script: begin + one + "result 1 confirmed", broken: "S4/client"},

	{name: "returned", script: begin + "invoke 1; pub 1 1; return 1 1; ack 1 1; result 1 returned; wait"},
	{name: "a return swallowed", script: begin + "invoke 1; pub 1 1; return 1 1; ack 1 1; result 1 confirmed; wait; open 3", broken: "S1/client S5/client S6/client"},
	{name: "given up before its return", script: begin + "invoke 1; pub 1 1; result 1 unknown; wait; return 1 1; ack 1 1; wait; open 3"},
	{name: "a return unheard", script: begin + "invoke 1; pub 1 1; return 1 1; ack 1 1; wait; result 1 unknown", broken: "S5/client"},
	{name: "a return invented", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 returned", broken: "S5/client"},
	{name: "a return after its ack", script: begin + "invoke 1; pub 1 1; ack 1 1; return 1 1; result 1 returned", broken: "S5/broker"},

	{name: "confirmed without an ack", script: begin + "invoke 1; pub 1 1; result 1 confirmed; deliver 2 1 1; handle q 1; handled q 1; settle 2 1", broken: "S6/client"},
	{name: "confirmed before the ack", script: begin + "invoke 1; pub 1 1; result 1 confirmed; ack 1 1; deliver 2 1 1; handle q 1; handled q 1; settle 2 1", broken: "S6/client"},

	{name: "replay", script: "open 1; select 1; invoke 1; pub 1 1; invoke 2; pub 1 2; close 1; open 3; select 3; pub 3 1; pub 3 2; invoke 3; pub 3 3", rules: Rules{Replay: true}, broken: "L5/client"},
	{name: "replay leaves one out", script: "open 1; select 1; invoke 1; pub 1 1; invoke 2; pub 1 2; close 1; open 3; select 3; pub 3 2; invoke 3; pub 3 3", rules: Rules{Replay: true}, broken: "S7/client L5/client"},
	{name: "replay over several channels", script: "open 1; select 1; invoke 1; pub 1 1; invoke 2; pub 1 2; close 1; open 3; select 3; pub 3 1; refuse 3; open 4; select 4; pub 4 1; pub 4 2; invoke 3; pub 4 3", rules: Rules{Replay: true}, broken: "L5/client"},
	{name: "replay over several channels leaves one out", script: "open 1; select 1; invoke 1; pub 1 1; invoke 2; pub 1 2; close 1; open 3; select 3; pub 3 1; refuse 3; open 4; select 4; pub 4 1; invoke 3; pub 4 3", rules: Rules{Replay: true}, broken: "S7/client L5/client"},
	{name: "replay out of order", script: "open 1; select 1; invoke 1; pub 1 1; invoke 2; pub 1 2; close 1; open 3; select 3; pub 3 2; pub 3 1", rules: Rules{Replay: true}, broken: "S7/client L5/client"},
	{name: "new before replay", script: "open 1; select 1; invoke 1; pub 1 1; close 1; invoke 2; open 3; select 3; pub 3 2; pub 3 1", rules: Rules{Replay: true}, broken: "S7/client L5/client"},
	{name: "first publishes out of order", script: "open 1; select 1; invoke 1; invoke 2; pub 1 2; pub 1 1", rules: Rules{Replay: true}, broken: "S7/client L5/client"},
	{name: "given up", script: "open 1; select 1; invoke 1; pub 1 1; close 1; result 1 unknown", rules: Rules{Replay: true, Patient: true}, broken: "S7/client"},

	{name: "published again after its ack", script: begin + one + "wait; close 1; open 3; select 3; pub 3 1", broken: "S8/client"},
	{name: "published again after its ack, on a newer connection", script: "open 1 1; select 1; open 2; qos 2 10; consume 2 q; " + one + "wait; close 1; open 3 2; select 3; pub 3 1", broken: "S8/client"},
	{name: "its ack came before what waited in an older connection", script: "open 2 1; qos 2 10; consume 2 q; open 1 1; select 1; invoke 1; open 3 2; select 3; pub 3 1; ack 3 1; result 1 confirmed; deliver 2 1 1; handle q 1; handled q 1; settle 2 1; wait; pub 1 1; close 1"},
	{name: "published too often", script: begin + "invoke 1; pub 1 1; close 1; open 3; select 3; pub 3 1; close 3; result 1 unknown", rules: Rules{MaxPublications: 1}, broken: "S8/client"},

	{
		name:   "out of order",
		script: begin + "invoke 1; invoke 2; pub 1 1; pub 1 2; acks 1 2; result 1 confirmed; result 2 confirmed; deliver 2 1 2; deliver 2 1 1; handle q 2; handled q 2; handle q 1; handled q 1; settles 2 2",
		rules:  Rules{Ordered: []string{"q"}}, broken: "S9/unclear",
	},
	{
		name:   "out of order behind a cut",
		script: begin + "invoke 1; invoke 2; pub 1 1; pub 1 2; close 1; open 3; select 3; pub 3 1; pub 3 2; acks 3 2; result 1 confirmed; result 2 confirmed; deliver 2 1 2; deliver 2 1 1; deliver 2 1 2; handle q 2; handled q 2; handle q 1; handled q 1; handle q 2; handled q 2; settles 2 3",
		rules:  Rules{Ordered: []string{"q"}, Replay: true},
	},

	{name: "redelivered without the flag", script: begin + one + "close 2; open 4; qos 4 10; consume 4 q; deliver 4 1 1; handle q 1; handled q 1; settle 4 1", broken: "S10/broker"},
	{name: "redelivered without the flag, which its broker may forget", script: begin + one + "close 2; open 4; qos 4 10; consume 4 q; deliver 4 1 1; handle q 1; handled q 1; settle 4 1", rules: Rules{Unflagged: []string{"q"}}},
	{name: "the flag hidden from the handler", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; redeliver 2 1 1; handle q 1; handled q 1; settle 2 1", broken: "S10/client"},
	{name: "the flag hidden from the handler, of a queue that may forget it", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; redeliver 2 1 1; handle q 1; handled q 1; settle 2 1", rules: Rules{Unflagged: []string{"q"}}, broken: "S10/client"},

	{name: "come back by way of a retry queue", script: begin + rejected + "deliver 2 1 1 dead; handle q 1; handled q 1; settle 2 2"},
	{name: "come back after a reject, and by no such way", script: begin + rejected + "deliver 2 1 1; handle q 1; handled q 1; settle 2 2", broken: "S10/broker"},
	{name: "come back, and the flag hidden from the handler", script: begin + rejected + "redeliver 2 1 1 dead; handle q 1; handled q 1; settle 2 2", broken: "S10/client"},

	{name: "redelivered for no reason", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; redeliver 2 1 1; handle q 1; handled q 1; rehandle q 1; handled q 1; settles 2 2", broken: "S15/broker"},
	{name: "redelivered while it is open", script: begin + "invoke 1; pub 1 1; result 1 unknown; deliver 2 1 1; redeliver 2 1 1", broken: "S11/broker"},
	{name: "redelivered after a requeue", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; handle q 1; failed q 1; requeue 2 1; redeliver 2 1 1; rehandle q 1; handled q 1; settle 2 2"},
	{name: "redelivered after the end of its channel", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; handle q 1; handled q 1; close 2; open 3; consume 3 q; redeliver 3 1 1; rehandle q 1; handled q 1; settle 3 1"},
	{name: "a stream read again from what was not settled on", script: begin + stream + "close 2; " + again, rules: Rules{Streams: []string{"q"}}},
	{name: "a stream read again from before that", script: begin + stream + "settle 2 1; close 2; " + again, rules: Rules{Streams: []string{"q"}}, broken: "S11/client"},
	{name: "a stream read again, though all was settled", script: begin + stream + "settle 2 1; settle 2 2; close 2; " + again, rules: Rules{Streams: []string{"q"}}, broken: "S11/client"},
	{name: "handled twice", script: begin + one + "rehandle q 1; handled q 1", broken: "S11/client S13/client"},

	{name: "settled twice", script: begin + one + "settle 2 1", broken: "S12/client"},
	{name: "settled on a channel that did not deliver it", script: begin + one + "open 3; settle 3 1", broken: "S12/client"},
	{name: "multiple of nothing", script: begin + one + "settles 2 1", broken: "S12/client"},
	{name: "settled after the end", script: begin + one + "refuse 2; settle 2 2"},

	{name: "acknowledged before the handler ended", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; handle q 1; settle 2 1; handled q 1", broken: "S13/client"},
	{name: "acknowledged by basic.get before the handler ended", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 65535 1; handle q 1; settle 2 1; handled q 1", broken: "S13/client"},
	{name: "a redelivery acknowledged before its handler ended", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; handle q 1; handled q 1; close 2; open 3; consume 3 q; redeliver 3 1 1; settle 3 1; rehandle q 1; handled q 1", broken: "S13/client"},
	{name: "acknowledged, and only another queue's handler succeeded", script: begin + "open 3; consume 3 r; invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; deliver 3 1 1; handle q 1; handled q 1; handle r 1; failed r 1; close 2; settle 3 1; " +
		"invoke 2; pub 1 2; ack 1 2; result 2 confirmed; deliver 3 1 2; handle r 2; handled r 2; settle 3 2", broken: "S13/client"},
	{name: "acknowledged after a failure", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; handle q 1; failed q 1; settle 2 1", broken: "S13/client"},
	{name: "never acknowledged", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; handle q 1; handled q 1", broken: "S13/client"},

	{
		name:   "beyond the prefetch",
		script: "open 1; select 1; open 2; qos 2 1; consume 2 q; invoke 1; invoke 2; pub 1 1; pub 1 2; acks 1 2; result 1 confirmed; result 2 confirmed; deliver 2 1 1; deliver 2 1 2; handle q 1; handled q 1; handle q 2; handled q 2; settles 2 2",
		broken: "S14/broker",
	},
	{
		name:   "more than the prefetch of a queue that delivers in chunks",
		script: "open 2; qos 2 1; consume 2 q; invoke 1; invoke 2; open 1; select 1; pub 1 1; pub 1 2; ack 1 1; ack 1 2; result 1 confirmed; result 2 confirmed; deliver 2 1 1; deliver 2 1 2; handle q 1; handled q 1; settle 2 1; handle q 2; handled q 2; settle 2 2",
		rules:  Rules{Chunked: []string{"q"}},
	},
	{name: "prefetch forgotten", script: "open 2; consume 2 q", rules: Rules{Prefetch: map[string]int{"q": 10}}, broken: "S14/client"},

	{name: "acknowledged and redelivered", script: begin + one + "wait; redeliver 2 1 1; rehandle q 1; handled q 1; settle 2 2", broken: "S15/broker"},
	{name: "acknowledged, redelivered after the end of its channel", script: begin + one + "wait; silent 2 1000; open 3; consume 3 q; redeliver 3 1 1; rehandle q 1; handled q 1; settle 3 1", broken: "S15/broker"},
	{name: "acknowledged to a frozen broker", script: begin + one + "wait; silent 2 5000; open 3; consume 3 q; redeliver 3 1 1; rehandle q 1; handled q 1; settle 3 1"},
	{name: "acknowledged too late", script: begin + "invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; handle q 1; handled q 1; revoke 2 1; cancel 2 1; settle 2 1; consume 2 q; redeliver 2 2 1; rehandle q 1; handled q 1; settle 2 2"},

	{name: "topology missing", script: "open 1", facts: Facts{Drained: true, Declared: []string{"a", "b"}, Actual: []string{"b"}}, broken: "S16/client"},
	{name: "topology left over", script: "open 1", facts: Facts{Drained: true, Declared: []string{"b"}, Actual: []string{"b", "c"}}, broken: "S16/client"},
	{name: "topology restored", script: "open 1", facts: Facts{Drained: true, Declared: []string{"a", "b"}, Actual: []string{"b", "a"}}},

	{name: "consumer missing at the broker", script: "open 1", facts: Facts{Drained: true, Registered: []string{"a"}}, broken: "S17/client"},
	{name: "consumer twice at the broker", script: "open 1", facts: Facts{Drained: true, Registered: []string{"a"}, Active: []string{"a", "a"}}, broken: "S17/client"},
	{name: "consumer missing on the wire", script: begin, rules: Rules{Consumers: map[string]int{"q": 2}}, broken: "S17/client"},
	{name: "consumer twice on the wire", script: begin + "consume 2 q", rules: Rules{Consumers: map[string]int{"q": 1}}, broken: "S17/client"},
	{name: "consumer twice on one connection for a while", script: begin + "consume 2 q; cancel 2 2", rules: Rules{Consumers: map[string]int{"q": 1}}, broken: "S17/client"},
	{name: "consumer on one channel after the other", script: begin + "close 2; open 3; consume 3 q; revoke 3 1; cancel 3 1; consume 3 q", rules: Rules{Consumers: map[string]int{"q": 1}}},
	{name: "cancel unanswered", script: begin + "revoke 2 1; wait; open 3", broken: "S17/client"},
	{name: "cancel answered", script: begin + "revoke 2 1; cancel 2 1; wait; open 3"},
	{name: "cancels that crossed", script: begin + "cancel 2 1; revoke 2 1; wait; open 3"},
	{name: "cancelled by the server twice", script: begin + "revoke 2 1; revoke 2 1; wait; open 3", broken: "S17/client"},
	{name: "delivery for a consumer that is no more", script: begin + "cancel 2 1; invoke 1; pub 1 1; ack 1 1; result 1 confirmed; deliver 2 1 1; wait; handle q 1; failed q 1", broken: "S17/client"},

	{name: "no progress", script: begin + "fault f; effect f; end f; wait; " + one, rules: Rules{Recovery: time.Second}, broken: "L1/client"},
	{name: "progress", script: begin + "fault f; effect f; end f; " + one, rules: Rules{Recovery: time.Second}},
	{name: "messages left", script: begin, facts: Facts{Left: 3}, broken: "L1/unclear"},

	{name: "a goroutine leaked", script: begin, facts: Facts{Drained: true, Before: Resources{Goroutines: 2}, After: Resources{Goroutines: 3}}, broken: "L2/client"},
	{name: "a file leaked", script: begin, facts: Facts{Drained: true, Before: Resources{Files: 2}, After: Resources{Files: 3}}, broken: "L2/client"},
	{name: "a connection leaked", script: begin, facts: Facts{Drained: true, Before: Resources{Heap: 1}, After: Resources{Connections: 1}}, broken: "L2/client"},
	{name: "the heap grew", script: begin, rules: Rules{Growth: 10}, facts: Facts{Drained: true, Before: Resources{Heap: 100}, After: Resources{Heap: 111}}, broken: "L2/client"},
	{name: "the heap grew as it may", script: begin, rules: Rules{Growth: 10}, facts: Facts{Drained: true, Before: Resources{Heap: 100}, After: Resources{Heap: 110}}},
	{name: "too much pending", script: "invoke 1; invoke 2; result 1 unknown; result 2 unknown", rules: Rules{MaxPending: 1}, broken: "L3/client"},
	{name: "as much pending as may be", script: "invoke 1; result 1 unknown; invoke 2; result 2 unknown", rules: Rules{MaxPending: 1}},
	{name: "too many connections", script: "conn; conn; conn", rules: Rules{MaxDials: 2}, broken: "L4/client"},
	{name: "as many connections as may be", script: "conn; conn; wait; conn; conn", rules: Rules{MaxDials: 2}},
	{name: "all wait as long", script: begin, rules: Rules{MaxWait: time.Second}, facts: Facts{Drained: true, Waits: slices.Repeat([]time.Duration{time.Second / 2}, 50)}, broken: "L4/client"},
	{name: "waits are spread", script: begin, rules: Rules{MaxWait: 50 * time.Second}, facts: Facts{Drained: true, Waits: spreadWaits(50)}},
	{name: "no wait is long", script: begin, rules: Rules{MaxWait: 100 * time.Second}, facts: Facts{Drained: true, Waits: spreadWaits(50)}, broken: "L4/client"},
	{name: "no result", script: "invoke 1", broken: "L5/client"},
	{name: "a late result", script: "invoke 1; wait; result 1 unknown", rules: Rules{Deadline: time.Second}, broken: "L5/client"},
	{name: "a call that hung", script: "call close 3000 1000", broken: "L5/client"},
}

// spreadWaits returns a wait of each number of seconds.
func spreadWaits(n int) (waits []time.Duration) {
	for i := range n {
		waits = append(waits, time.Duration(i)*time.Second)
	}
	return waits
}

func TestRules(t *testing.T) {
	broken := map[string]bool{}
	for _, c := range ruleCases {
		t.Run(c.name, func(t *testing.T) {
			facts := c.facts
			if facts.Left == 0 {
				facts.Drained = true
			}
			r, err := play(t, c.script).Check(c.rules, facts)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range r.Violations {
				broken[v.Rule] = true
				if found := v.Rule + "/" + v.Blame.String(); !slices.Contains(got, found) {
					got = append(got, found)
				}
			}
			if strings.Join(got, " ") != c.broken {
				t.Errorf("broken: %q, want %q\n%s", got, c.broken, r)
			}
		})
	}
	for _, inv := range invariants {
		if !broken[inv.rule] {
			t.Errorf("no case breaks %s", inv.rule)
		}
	}
}
