package publisher_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// TestRepublishKeepsIDAndOrder is promise P2: what the loss of a connection
// left without a verdict comes again first, in order, under the same id.
func TestRepublishKeepsIDAndOrder(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher()
		defer e.closeOf(p)
		e.wantConfirmed(e.send(p, 1, 1)...)
		e.socket().In().Stall() // the broker takes them, its verdicts do not arrive
		lost := e.send(p, 2, 6)
		synctest.Wait()
		e.broker.Stop()
		waiting := e.send(p, 7, 9) // during the outage
		time.Sleep(time.Minute)
		e.broker.Start()
		e.wantConfirmed(append(lost, waiting...)...)
		e.wantConfirmed(e.send(p, 10, 10)...)
		var got []string
		ids := map[string]string{}
		for _, c := range e.contents("q") {
			got = append(got, c.body)
			if ids[c.body] != "" && ids[c.body] != c.id {
				t.Errorf("message %s came with ids %s and %s", c.body, ids[c.body], c.id)
			}
			ids[c.body] = c.id
		}
		want := slices.Concat(numbers(1, 6), numbers(2, 10))
		if !slices.Equal(got, want) {
			t.Errorf("the queue holds %v; want %v", got, want)
		}
		for _, r := range lost {
			if r.Attempts() != 2 || !strings.Contains(r.MessageID(), "-") {
				t.Errorf("%d attempts of message %q", r.Attempts(), r.MessageID())
			}
		}
		if s := p.Stats(); s.Republished != 5 || s.Confirmed != 10 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestCutAnywhereWhilePublishing cuts the connection at every byte that the
// client writes, and at every byte that it reads, from the handshake to the
// last confirm; and the next connection at that byte too, so that it is cut
// while it republishes.
func TestCutAnywhereWhilePublishing(t *testing.T) {
	const messages = 4
	type cut struct {
		way string
		at  int64
	}
	run := func(t *testing.T, c cut, cuts int) (wrote, read int64) {
		inBubble(t, func(e *env) {
			e.queue("q", nil)
			e.onDial = func(n int, s *memnet.Conn) {
				if n > cuts {
					return
				}
				if c.way == "written" {
					s.Out().CutAfter(c.at)
				} else {
					s.In().CutAfter(c.at)
				}
			}
			p := e.publisher()
			defer e.closeOf(p)
			receipts := e.send(p, 1, 2)
			synctest.Wait()
			receipts = append(receipts, e.send(p, 3, messages)...)
			e.wantConfirmed(receipts...)
			e.wantBodies("q", numbers(1, messages))
			wrote, read = e.socket().Out().Written(), e.socket().In().Written()
			if s := p.Stats(); s.Confirmed != messages || s.Open != 0 {
				t.Errorf("stats %+v", s)
			}
		})
		return wrote, read
	}
	wrote, read := run(t, cut{}, 0)
	step := int64(1)
	if testing.Short() {
		step = 7
	}
	for at := int64(0); at < max(wrote, read) && !t.Failed(); at += step {
		for _, c := range []cut{{"written", at}, {"read", at}} {
			if c.way == "written" && at >= wrote || c.way == "read" && at >= read {
				continue
			}
			t.Run(fmt.Sprintf("%s %d", c.way, at), func(t *testing.T) { run(t, c, 2) })
		}
	}
}

func TestNothingIsPublishedBeforeConfirmMode(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher()
		defer e.closeOf(p)
		for range 20 { // senders push all the time while channels come and go
			receipts := e.send(p, 1, 5)
			e.broker.CloseChannels(320, "CONNECTION_FORCED - test")
			receipts = append(receipts, e.send(p, 6, 10)...)
			e.wantConfirmed(receipts...)
		}
		if s := p.Stats(); s.Confirmed != 200 {
			t.Errorf("stats %+v", s)
		}
		if got := len(e.bodies("q")); got != 200 {
			t.Errorf("%d messages in the queue; want 200", got)
		}
	})
}

func TestNackedIsSentAgain(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("full", wire.Table{"x-max-length": 2, "x-overflow": "reject-publish"})
		p := e.publisher()
		defer e.closeOf(p)
		for range 2 {
			e.wantConfirmed(e.sendTo(p, "full"))
		}
		r := e.sendTo(p, "full")
		time.Sleep(time.Minute)
		if n := r.Attempts(); n < 10 || n > 60 {
			t.Errorf("%d attempts in a minute; want a backoff up to 5 s", n)
		}
		if got := e.contents("full"); len(got) != 2 {
			t.Errorf("the queue held %d", len(got))
		}
		e.wantConfirmed(r)
		if e.count(recovery.EventChannelLost) > 0 {
			t.Error("a channel was lost")
		}
	})
}

// What is refused again and again is sent ever more rarely, whatever becomes of others meanwhile.
func TestConfirmsOfOthersDoNotHurryWhatIsRefused(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		e.queue("full", wire.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
		p := e.publisher()
		defer e.closeOf(p)
		e.wantConfirmed(e.sendTo(p, "full"))
		old := e.sendTo(p, "full")
		for range 3000 { // 20 ms apart
			e.wantConfirmed(e.sendTo(p, "q"))
			time.Sleep(20 * time.Millisecond)
		}
		if n := old.Attempts(); n < 10 || n > 60 {
			t.Errorf("%d attempts in a minute; want a backoff up to 5 s", n)
		}
		fresh := e.sendTo(p, "full") // does not wait for the old one's turn
		time.Sleep(100 * time.Millisecond)
		if n := fresh.Attempts(); n < 2 {
			t.Errorf("%d attempts in its first 100 ms", n)
		}
		for range 2 {
			e.contents("full")
			time.Sleep(10 * time.Second)
		}
		e.wantConfirmed(old, fresh)
	})
}

func TestReturnsAreRetriedForAWhileAfterAReconnect(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher()
		defer e.closeOf(p)
		e.wantConfirmed(e.sendTo(p, "q"))
		e.broker.Cut()
		if _, err := e.conn.SessionAfter(e.ctx, 1); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := p.Publish(e.ctx, to("nowhere", "1")); outcomeOf(err).String() != "returned" {
			t.Errorf("%v; want it returned", err)
		}
		if took := time.Since(begun); took != publisher.DefaultReturnGrace {
			t.Errorf("returned after %s; the grace is %s", took, publisher.DefaultReturnGrace)
		}
		begun = time.Now()
		if err := p.Publish(e.ctx, to("nowhere", "2")); outcomeOf(err).String() != "returned" || time.Since(begun) > 0 {
			t.Errorf("%v after %s; want it returned at once", err, time.Since(begun))
		}
		if s := p.Stats(); s.Returned != 2 {
			t.Errorf("stats %+v", s)
		}
		e.broker.Cut() // this time the route comes back
		if _, err := e.conn.SessionAfter(e.ctx, 2); err != nil {
			t.Fatal(err)
		}
		r := e.sendTo(p, "late")
		time.Sleep(100 * time.Millisecond)
		e.queue("late", nil)
		e.wantConfirmed(r)
	})
}

// Each loss of a publisher's channel, with its connection or alone, is followed by one event that it is back.
func TestAPublisherWhoseChannelIsBackIsTold(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher()
		defer e.closeOf(p)
		e.wantConfirmed(e.send(p, 1, 1)...)
		for i, lose := range []func(){
			func() { e.broker.Cut() },
			func() { e.broker.CloseChannels(406, "PRECONDITION_FAILED - test") },
		} {
			if n := e.count(recovery.EventChannelRestored); n != i {
				t.Fatalf("told %d times after %d losses", n, i)
			}
			lose()
			time.Sleep(time.Minute)
			e.wantConfirmed(e.send(p, i, i)...)
		}
		if lost, back := e.count(recovery.EventChannelLost), e.count(recovery.EventChannelRestored); lost != 1 || back != 2 {
			t.Errorf("%d times lost alone, %d times back", lost, back)
		}
	})
}
