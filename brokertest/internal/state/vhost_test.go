package state

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// world is a virtual host whose clock stands still until it is moved.
type world struct {
	*VHost
	t   *testing.T
	now time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Unix(1000, 0)}
	n := 0
	w.VHost = NewVHost("/", func() time.Time { return w.now }, func(prefix string) string { n++; return prefix + strconv.Itoa(n) })
	return w
}

func (w *world) queue(name string, args wire.Table) *Queue {
	w.t.Helper()
	q, r := w.DeclareQueue(QueueSpec{Name: name, Durable: true, Arguments: args})
	if r != nil {
		w.t.Fatal(r)
	}
	return q
}

func (w *world) exchange(name, kind string, args wire.Table) {
	w.t.Helper()
	if r := w.DeclareExchange(ExchangeSpec{Name: name, Type: kind, Arguments: args}); r != nil {
		w.t.Fatal(r)
	}
}

func (w *world) bind(from, to, key string, toExchange bool) {
	w.t.Helper()
	if r := w.Bind(BindingSpec{Source: from, Destination: to, Key: key, ToExchange: toExchange}); r != nil {
		w.t.Fatal(r)
	}
}

// message makes a message without properties.
func (w *world) message(exchange, key, body string) *Message {
	w.t.Helper()
	m, r := NewMessage(exchange, key, []byte{0, 0}, []byte(body))
	if r != nil {
		w.t.Fatal(r)
	}
	return m
}

func (w *world) publish(exchange, key, body string) Outcome {
	w.t.Helper()
	x, r := w.Exchange(exchange)
	if r != nil {
		w.t.Fatal(r)
	}
	out := w.Publish(x, w.message(exchange, key, body))
	w.Settle()
	return out
}

// sink writes down what a consumer gets.
type sink struct {
	got       []string
	entries   []*Entry
	full      bool
	cancelled bool
}

func (s *sink) Accepts(*Consumer) bool { return !s.full }
func (s *sink) Cancel(*Consumer)       { s.cancelled = true }
func (s *sink) Deliver(_ *Consumer, e *Entry) {
	s.got = append(s.got, string(e.Message.Body))
	s.entries = append(s.entries, e)
}

func TestRoute(t *testing.T) {
	w := newWorld(t)
	for _, q := range []string{"q1", "q2", "q3"} {
		w.queue(q, nil)
	}
	w.exchange("alt", Fanout, nil)
	w.exchange("a", Topic, wire.Table{alternateExchange: "alt"})
	w.exchange("b", Direct, wire.Table{alternateExchange: "alt"})
	w.bind("a", "q1", "x.*", false)
	w.bind("a", "b", "x.#", true)
	w.bind("b", "a", "x.y", true) // a circle
	w.bind("b", "q1", "x.y", false)
	w.bind("b", "q2", "x.y", false)
	w.bind("alt", "q3", "", false)
	for _, tc := range []struct {
		exchange, key string
		want          []string
	}{
		{"", "q1", []string{"q1"}}, {"", "nope", nil},
		{"a", "x.y", []string{"q1", "q2"}}, // q1 along two ways, and once
		{"a", "x.z", []string{"q1", "q3"}}, // b finds nothing, its alternate does
		{"a", "x.y.z", []string{"q3"}},     // likewise
		{"a", "other", []string{"q3"}},     // the alternate of a itself
		{"b", "x.y", []string{"q1", "q2"}}, // back through a
		{"amq.fanout", "x", nil}, {"alt", "x", []string{"q3"}},
	} {
		x, _ := w.Exchange(tc.exchange)
		var got []string
		for _, q := range w.Route(x, w.message(tc.exchange, tc.key, "")) {
			got = append(got, q.Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s %s: %q, want %q", tc.exchange, tc.key, got, tc.want)
		}
	}
}

func TestHeadersMatch(t *testing.T) {
	for _, tc := range []struct {
		args, headers wire.Table
		want          bool
	}{
		{nil, nil, true}, {wire.Table{"a": int32(1)}, wire.Table{"a": int64(1)}, true},
		{wire.Table{"a": int32(1)}, wire.Table{"a": 1.0}, false}, {wire.Table{"a": "x"}, wire.Table{"a": []byte("x")}, true},
		{wire.Table{"a": nil}, wire.Table{"a": true}, true}, {wire.Table{"a": nil}, nil, false},
		{wire.Table{"x-match": "any"}, wire.Table{"a": 1}, false},
		{wire.Table{"x-match": "any", "a": "1", "b": "2"}, wire.Table{"b": "2"}, true},
		{wire.Table{"x-match": "all", "x-a": "1", "b": "2"}, wire.Table{"b": "2"}, true},
		{wire.Table{"x-match": "all-with-x", "x-a": "1", "b": "2"}, wire.Table{"b": "2"}, false},
		{wire.Table{"x-match": "any-with-x", "x-a": "1"}, wire.Table{"x-a": "1"}, true},
		{wire.Table{"a": wire.Table{"b": []any{"c"}}}, wire.Table{"a": wire.Table{"b": []any{"c"}}}, true},
	} {
		if got := newHeadersMatch(tc.args).matches(tc.headers); got != tc.want {
			t.Errorf("%v matches %v: %v, want %v", tc.args, tc.headers, got, tc.want)
		}
	}
}

func TestUnbindingDeletesAutoDeleteExchangesInAChain(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"x", "y"} {
		if r := w.DeclareExchange(ExchangeSpec{Name: name, Type: Fanout, AutoDelete: true}); r != nil {
			t.Fatal(r)
		}
	}
	w.queue("q", nil)
	w.bind("x", "y", "", true)
	w.bind("y", "q", "", false)
	w.queues["q"].Delete()
	for _, name := range []string{"x", "y"} {
		if w.HasExchange(name) {
			t.Errorf("exchange %s is left", name)
		}
	}
	if n := len(w.Bindings()); n != 0 {
		t.Errorf("%d bindings are left", n)
	}
}

func TestTimeMovesMessagesAndQueues(t *testing.T) {
	w := newWorld(t)
	w.queue("q", wire.Table{argMessageTTL: int32(1000), argDeadLetter: "", argDeadLetterKey: "dead"})
	dead := w.queue("dead", wire.Table{argExpires: int32(5000)})
	w.publish("", "q", "1")
	for _, step := range []struct {
		after time.Duration
		check func() error
	}{
		{999 * time.Millisecond, func() error { return want(dead.Len(), 0) }},
		{time.Millisecond, func() error { return want(dead.Len(), 1) }},
		{4 * time.Second, func() error { return want(w.HasQueue("dead"), false) }},
	} {
		w.now = w.now.Add(step.after)
		if at := w.Next(); !at.IsZero() && !at.After(w.now) {
			w.Tick()
		}
		if err := step.check(); err != nil {
			t.Errorf("at %v: %v", w.now.Sub(time.Unix(1000, 0)), err)
		}
	}
	if at := w.Next(); !at.IsZero() {
		t.Errorf("something is to happen at %v, and nothing is left", at)
	}
}

// TestHiddenMessageExpires has a message come to the head of its queue before its time, after the clock has
// ticked for another reason.
func TestHiddenMessageExpires(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", nil)
	w.publish("", "q", "head")
	m := w.message("", "q", "hidden")
	m.TTL, m.HasTTL = 10*time.Second, true
	x, _ := w.Exchange("")
	w.Publish(x, m)
	w.Settle()
	w.now = w.now.Add(3 * time.Second)
	w.Tick()
	if _, r := q.Get(true); r != nil {
		t.Fatal(r)
	}
	w.Settle()
	w.now = w.Next()
	w.Tick()
	if q.Len() != 0 || w.now != time.Unix(1010, 0) {
		t.Errorf("%d messages at %v", q.Len(), w.now)
	}
}

func want[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("%v, want %v", got, want)
	}
	return nil
}

func TestFullSinkWaits(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", nil)
	s := &sink{full: true}
	c, r := q.Consume(ConsumerSpec{Tag: "c", Sink: s})
	if r != nil {
		t.Fatal(r)
	}
	w.publish("", "q", "1")
	if len(s.got) != 0 {
		t.Error("a full sink was given a message")
	}
	s.full = false
	c.Wake()
	w.Settle()
	if !slices.Equal(s.got, []string{"1"}) {
		t.Errorf("%q", s.got)
	}
}

func TestConsumersInTurnAndByPriority(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", nil)
	var sinks [4]*sink
	for i := range sinks {
		sinks[i] = &sink{}
		spec := ConsumerSpec{Tag: strconv.Itoa(i), Sink: sinks[i], Prefetch: 2}
		if i >= 2 {
			spec.Arguments = wire.Table{argPriority: int32(1)}
		}
		if _, r := q.Consume(spec); r != nil {
			t.Fatal(r)
		}
	}
	for i := range 8 {
		w.publish("", "q", strconv.Itoa(i))
	}
	var got [][]string
	for _, s := range sinks {
		got = append(got, s.got)
	}
	if want := [][]string{{"4", "6"}, {"5", "7"}, {"0", "2"}, {"1", "3"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestDeadLettersEnd sends a message down a chain of queues that no message stays in.
func TestDeadLettersEnd(t *testing.T) {
	w := newWorld(t)
	name := func(i int) string { return "q" + strconv.Itoa(i) }
	for i := range maxHops {
		w.queue(name(i), wire.Table{"x-max-length": int32(0), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": name(i + 1)})
	}
	last := w.queue(name(maxHops), wire.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "end"})
	end := w.queue("end", wire.Table{"x-message-ttl": int32(0), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "beyond"})
	beyond := w.queue("beyond", nil)
	w.publish("", name(0), "1")
	w.publish("", name(1), "2")
	w.Settle()
	if last.Len() != 2 {
		t.Fatalf("%d messages have come to the end of the chain, want 2", last.Len())
	}
	for _, v := range []Verdict{Discard, Reject} { // a client begins a new chain
		e, _ := last.Get(false)
		last.Settle(nil, e, v)
		w.Settle()
	}
	if end.Len() != 0 || beyond.Len() != 2 {
		t.Errorf("%d messages are left, %d have come beyond", end.Len(), beyond.Len())
	}
	w.queue("q-1", wire.Table{"x-max-length": int32(0), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": name(0)})
	w.publish("", "q-1", "3")
	w.Settle()
	if last.Len() != 0 {
		t.Error("a message has died without end")
	}
}

// TestOrderOfWhatHappensAtOnce has many queues do the same at the same moment: they do it in the order of their
// making, or tests with a seed would not repeat themselves.
func TestOrderOfWhatHappensAtOnce(t *testing.T) {
	w := newWorld(t)
	const queues = 50
	dead := w.queue("dead", nil)
	for _, step := range []struct {
		what   string
		args   wire.Table
		happen func()
	}{
		{"expire", wire.Table{"x-message-ttl": int32(1000)}, func() { w.now = w.now.Add(time.Hour); w.Tick() }},
		{"are limited", wire.Table{}, func() {
			w.SetPolicy(Policy{Name: "p", Pattern: regexp.MustCompile("^are limited"), Queues: true, Definition: wire.Table{"max-length": int64(0)}})
			w.Settle()
		}},
	} {
		step.args["x-dead-letter-exchange"], step.args["x-dead-letter-routing-key"] = "", "dead"
		var want []string
		for i := range queues {
			name := step.what + strconv.Itoa(i)
			w.queue(name, step.args)
			w.publish("", name, name)
			want = append(want, name)
		}
		w.Settle()
		step.happen()
		var got []string
		for _, e := range dead.Waiting() {
			got = append(got, string(e.Message.Body))
		}
		if !slices.Equal(got, want) {
			t.Errorf("they %s in the order %q", step.what, got)
		}
		_, _ = dead.Purge()
	}
}

func TestRestart(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", nil)
	persistent := w.message("", "q", "kept")
	persistent.Persistent = true
	x, _ := w.Exchange("")
	w.Publish(x, persistent)
	w.publish("", "q", "lost")
	if _, r := w.DeclareQueue(QueueSpec{Name: "transient"}); r != nil {
		t.Fatal(r)
	}
	w.Restart()
	if w.HasQueue("transient") || q.Len() != 1 {
		t.Errorf("%d messages; transient queue %v", q.Len(), w.HasQueue("transient"))
	}
}

func TestTimedOutConsumer(t *testing.T) {
	w := newWorld(t)
	q := w.queue("q", wire.Table{argQueueType: kindQuorum})
	s := &sink{}
	c, r := q.Consume(ConsumerSpec{Tag: "c", Sink: s})
	if r != nil {
		t.Fatal(r)
	}
	w.publish("", "q", "1")
	q.Expire(c, s.entries[0])
	w.Settle()
	if q.Len() != 1 || q.Unacked() != 0 || len(s.got) != 1 {
		t.Errorf("ready %d, unacked %d, delivered %q", q.Len(), q.Unacked(), s.got)
	}
	c.Revive()
	w.Settle()
	if !slices.Equal(s.got, []string{"1", "1"}) {
		t.Errorf("delivered %q after the late ack", s.got)
	}
}

func TestTerms(t *testing.T) {
	for _, tc := range []struct {
		v    any
		want string
	}{
		{"a\"b", `<<"a\"b">>`}, {[]byte{0, 200}, "<<0,200>>"}, {"", "<<>>"}, {int32(-1), "-1"}, {true, "true"}, {nil, "undefined"},
		{1.5, "1.5"}, {float32(2), "2.0"}, {[]any{int32(1), "a"}, `[{signedint,1},{longstr,<<"a">>}]`},
		{wire.Table{"k": int64(1)}, `[{<<"k">>,long,1}]`},
	} {
		if got := term(tc.v); got != tc.want {
			t.Errorf("%#v: %s, want %s", tc.v, got, tc.want)
		}
	}
}
