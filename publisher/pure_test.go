package publisher

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
)

func TestWindowLetsInFirstComeFirstServed(t *testing.T) {
	w := window{maxMessages: 3, maxBytes: 100}
	if w.enter(60) != nil {
		t.Fatal("no room in an empty window")
	}
	large, small := w.enter(50), w.enter(1)
	if large == nil || small == nil {
		t.Fatal("let in beyond the bytes, or before one that came earlier")
	}
	w.leave(60)
	if !large.admitted || !small.admitted || w.messages != 2 || w.bytes != 51 {
		t.Errorf("%+v", w)
	}
	over := w.enter(200)
	next := w.enter(10)
	w.leave(1)
	if over.admitted || next.admitted {
		t.Error("one larger than the window was let in beside another, or passed by one behind it")
	}
	w.leave(50)
	if !over.admitted || next.admitted {
		t.Error("one larger than the window is let in alone")
	}
	w.withdraw(over) // its sender gave up in that moment
	if !next.admitted || w.messages != 1 || w.bytes != 10 {
		t.Errorf("%+v", w)
	}
}

func TestWindowWithdrawLetsTheNextIn(t *testing.T) {
	w := window{maxMessages: 3, maxBytes: 100}
	w.enter(60)
	large, small := w.enter(50), w.enter(10)
	w.withdraw(large)
	if !small.admitted {
		t.Error("who waited behind it was not let in")
	}
	last := w.enter(50)
	w.turnAway()
	if <-last.done; last.admitted || w.waiting.Len() != 0 {
		t.Error("turned away, and let in")
	}
}

func TestQueueKeepsOrder(t *testing.T) {
	var q queue
	r := make([]*Receipt, 6)
	for i := range r {
		r[i] = &Receipt{attempts: i} // to tell them apart
	}
	q.push(r[3])
	q.push(r[4])
	q.pushFront(r[0], r[1], r[2])
	q.push(r[5])
	r[1].phase, r[4].phase = over, over
	if q.pop() != r[0] {
		t.Error("not the oldest first")
	}
	q.trim()
	if q.len() != 3 {
		t.Errorf("%d left; want 3", q.len())
	}
	var got []int
	for x := q.pop(); x != nil; x = q.pop() {
		got = append(got, x.attempts)
	}
	if !slices.Equal(got, []int{2, 3, 5}) || q.len() != 0 {
		t.Errorf("%v", got)
	}
}

// TestIsolationFindsOneBadMessage plays a broker that closes the channel over
// one of many, and counts how often.
func TestIsolationFindsOneBadMessage(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 1000, 4096} {
		for _, bad := range []int{0, n / 3, n / 2, n - 1} {
			i := isolation{limit: 4096}
			first, deaths := 0, 0 // first: the oldest without a verdict
			for {
				sent := 0
				for i.admits(sent, n-first-sent) && first+sent < n {
					i.sent()
					sent++
				}
				if bad < first || bad >= first+sent { // all confirmed
					if first += sent; first == n {
						t.Fatalf("%d of %d was not found", bad, n)
					}
					continue
				}
				deaths++
				if sent == 1 {
					break
				}
				i.narrow(sent)
			}
			if deaths > 25 {
				t.Errorf("%d of %d: %d channels died", bad, n, deaths)
			}
		}
	}
}

// What was not answered when a channel died tells nothing: the next one begins with a whole group of the same size.
func TestIsolationBeginsItsGroupAnew(t *testing.T) {
	for sent := range 9 {
		i := isolation{limit: 4096}
		i.narrow(17)
		for range sent {
			i.sent()
		}
		i.restart()
		n := 0
		for i.admits(n, 100-n) {
			i.sent()
			n++
		}
		if n != 8 {
			t.Errorf("a channel died with %d of 8 sent: %d are sent on the next", sent, n)
		}
	}
}

func TestThrottle(t *testing.T) {
	now := time.Now()
	b := newThrottle(burst, now)
	for i := range burst {
		if d := b.take(now); d != 0 {
			t.Errorf("trip %d: pause of %s", i+1, d)
		}
	}
	for range 10 {
		d := b.take(now)
		if d <= 0 || d > refill {
			t.Fatalf("pause of %s; want up to %s", d, refill)
		}
		now = now.Add(d)
	}
	if d := b.take(now.Add(time.Hour)); d != 0 {
		t.Errorf("after a quiet hour: %s", d)
	}
}

func TestWhatIsRefusedWaitsByItself(t *testing.T) {
	const ms = time.Millisecond
	q, now := refused{pace: 1}, time.Now()
	old, fresh, third := &Receipt{refusals: 9}, &Receipt{}, &Receipt{}
	q.add(old, now, 0)
	q.add(fresh, now, 0)
	q.add(third, now.Add(ms), 0)
	for _, c := range []struct {
		after time.Duration
		want  []*Receipt
	}{
		{49 * ms, nil}, {50 * ms, []*Receipt{fresh}}, {51 * ms, []*Receipt{third}}, {4999 * ms, nil}, {5000 * ms, []*Receipt{old}}, {time.Hour, nil},
	} {
		if got := q.take(now.Add(c.after)); !slices.Equal(got, c.want) {
			t.Errorf("after %s %d are due, want %d", c.after, len(got), len(c.want))
		}
	}
	for n := range 12 { // 50 ms, 100 ms, … 5 s
		q.add(fresh, now, 0)
		if at, _ := q.next(); at.Sub(now) != min(5*time.Second, 100*ms<<n) {
			t.Errorf("refused %d times: due after %s", fresh.refusals, at.Sub(now))
		}
		q.take(now.Add(time.Hour))
	}
	q.add(old, now, 20*ms)
	if at, ok := q.next(); !ok || at.Sub(now) != 20*ms {
		t.Errorf("due after %s, within 20 ms", at.Sub(now))
	}
	for range 100 {
		if p := newRefused().pace; p < 0.5 || p > 1 {
			t.Fatalf("pace %v", p)
		}
	}
}

// What was refused is older than whatever waits when its pause is over.
func TestWhatIsTriedAgainGoesBeforeNewerOnes(t *testing.T) {
	p := &Publisher{refused: refused{pace: 1}}
	first, second, newer := &Receipt{}, &Receipt{}, &Receipt{}
	p.refused.add(first, time.Now().Add(-2*time.Minute), 0)
	p.refused.add(second, time.Now().Add(-time.Minute), 0)
	p.queue.push(newer)
	p.retryRefused()
	for i, want := range []*Receipt{first, second, newer, nil} {
		if p.queue.pop() != want {
			t.Errorf("another one is in place %d", i+1)
		}
	}
}

func TestMessageIDsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	s := idSource{prefix: "before-the-end-1", last: ^uint32(0) - 100} // it runs over
	for range 300 {
		id := s.next()
		if seen[id] || len(id) != idSize {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
	if strings.HasPrefix(s.next(), "before") {
		t.Error("the prefix is still the one before")
	}
}

func TestOverall(t *testing.T) {
	nacked := core.Verdict{Outcome: core.OutcomeNacked}
	for _, test := range []struct {
		name      string
		maybeSent bool
		refused   core.Verdict
		last      core.Outcome
		want      core.Outcome
	}{
		{"sent once", false, core.Verdict{}, core.OutcomeNacked, core.OutcomeNacked},
		{"not sent", false, core.Verdict{}, core.OutcomeNotSent, core.OutcomeNotSent},
		{"confirmed after all", true, nacked, core.OutcomeConfirmed, core.OutcomeConfirmed},
		{"returned after all", true, nacked, core.OutcomeReturned, core.OutcomeReturned},
		{"nacked, but before that unknown", true, core.Verdict{}, core.OutcomeNacked, core.OutcomeUnknown},
		{"not sent, but before that unknown", true, core.Verdict{}, core.OutcomeNotSent, core.OutcomeUnknown},
		{"not sent again after a nack", false, nacked, core.OutcomeNotSent, core.OutcomeNacked},
	} {
		r := Receipt{maybeSent: test.maybeSent, refused: test.refused}
		if got := r.overall(core.Verdict{Outcome: test.last}).Outcome; got != test.want {
			t.Errorf("%s: %v; want %v", test.name, got, test.want)
		}
	}
}

// A message that is refused, and then cannot be sent again, has two reasons; its sender learns both.
func TestBothReasonsAreTold(t *testing.T) {
	full, over := errors.New("queue is full"), errors.New("time is over")
	returned := &core.Return{Exchange: "x"}
	r := Receipt{refused: core.Verdict{Outcome: core.OutcomeReturned, Return: returned, Cause: full}}
	got := r.overall(core.Verdict{Outcome: core.OutcomeNotSent, Cause: over})
	if !errors.Is(got.Cause, full) || !errors.Is(got.Cause, over) || got.Return != returned || got.Outcome != core.OutcomeReturned {
		t.Errorf("%+v", got)
	}
}

// A message that was in flight when the channel closed may be what it closed
// over. If it is found to be so, for what it is like, it was so each time.
func TestDoubt(t *testing.T) {
	defect := &core.Error{Code: core.ErrPreconditionFailed, Text: "invalid expiration 'soon'", Server: true, Method: "basic.publish"}
	other := &core.Error{Code: core.ErrPreconditionFailed, Text: "message size 20 is larger", Server: true, Method: "basic.publish"}
	missing := &core.Error{Code: core.ErrNotFound, Text: "no exchange 'x'", Server: true, Method: "basic.publish"}
	for _, test := range []struct {
		name     string
		before   []*core.Error // why its channels closed; nil: the connection was lost
		at, want core.Outcome
		refusal  *core.Error
	}{
		{"at once", nil, core.OutcomeNacked, core.OutcomeNacked, defect},
		{"found by elimination", []*core.Error{defect, defect}, core.OutcomeNacked, core.OutcomeNacked, defect},
		{"innocent, then refused for another reason", []*core.Error{other}, core.OutcomeNacked, core.OutcomeUnknown, defect},
		{"innocent, then not sent", []*core.Error{defect}, core.OutcomeNotSent, core.OutcomeUnknown, nil},
		{"lost with a connection before", []*core.Error{nil, defect}, core.OutcomeNacked, core.OutcomeUnknown, defect},
		{"lost with a connection between", []*core.Error{defect, nil}, core.OutcomeNacked, core.OutcomeUnknown, defect},
		{"two kinds of death", []*core.Error{defect, other}, core.OutcomeNacked, core.OutcomeUnknown, defect},
		{"an exchange that may have been there", []*core.Error{missing}, core.OutcomeNacked, core.OutcomeUnknown, missing},
	} {
		r := Receipt{}
		for _, refusal := range test.before {
			r.suspect = true
			r.doubted(refusal)
		}
		if test.refusal != nil {
			r.offended(test.refusal)
		}
		if got := r.overall(core.Verdict{Outcome: test.at}).Outcome; got != test.want {
			t.Errorf("%s: %v; want %v", test.name, got, test.want)
		}
	}
}

func TestOptionsAreValidated(t *testing.T) {
	for _, opts := range [][]Option{
		{Window(0, 1)}, {Window(1, 0)}, {Exchange(strings.Repeat("x", 256))},
	} {
		if _, err := New(nil, opts...); err == nil || !strings.HasPrefix(err.Error(), "publisher: ") {
			t.Errorf("%v", err)
		}
	}
	if _, err := New(nil, Name("n"), Exchange("x"), Transient(), WithoutMessageIDs(), ReturnGrace(0)); err != nil {
		t.Error(err)
	}
}
