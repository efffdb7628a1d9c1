package ledger

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestSummaryCountsEachMessageOnce(t *testing.T) {
	l := New(1)
	p, orders, audit := l.Publisher(), l.Consumer("orders"), l.Consumer("audit")
	deliver := func(c *Consumer, m Message, redelivered bool) {
		if _, err := c.Deliver(m.Body, 1, redelivered); err != nil {
			t.Fatal(err)
		}
	}
	send := func(o Outcome) Message {
		m := p.Next(0, 0)
		p.Result(m.ID, o)
		return m
	}
	twice := send(Confirmed)
	deliver(orders, twice, false)
	deliver(orders, twice, true)
	both := send(Confirmed)
	deliver(orders, both, false)
	deliver(audit, both, false)
	send(Confirmed) // lost
	send(Returned)
	send(Nacked)
	send(NotSent)
	deliver(orders, send(Unknown), false)
	retried := send(Unknown)
	retried = p.Again(retried)
	p.Result(retried.ID, Confirmed)
	deliver(audit, retried, false)
	p.Next(0, 0)

	got := l.Summary()
	want := Summary{
		Published: 9, Confirmed: 4, Returned: 1, Nacked: 1, NotSent: 1, Unknown: 1, Pending: 1,
		Unique: 4, Duplicates: 1, Lost: 1,
	}
	if got != want {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if got.OK() {
		t.Error("a loss is not OK")
	}
}

func TestSummaryCountsWhatWasNeverPublished(t *testing.T) {
	l := New(1)
	p, c := l.Publisher(), l.Consumer("q")
	m := p.Next(0, 100)
	corrupt := append([]byte(nil), m.Body...)
	corrupt[99]++
	for name, d := range map[string]struct {
		body []byte
		err  error
	}{
		"corrupt":        {corrupt, ErrCorrupt},
		"no identity":    {[]byte("hello"), ErrForeign},
		"another run":    {ID{Run: 2, Publisher: 1, Seq: 1, Attempt: 1}.AppendBody(nil, 0), ErrForeign},
		"no publisher":   {ID{Run: 1, Publisher: 9, Seq: 1, Attempt: 1}.AppendBody(nil, 0), nil},
		"not yet sent":   {ID{Run: 1, Publisher: 1, Seq: 2, Attempt: 1}.AppendBody(nil, 0), nil},
		"sequence of 0":  {ID{Run: 1, Publisher: 1, Attempt: 1}.AppendBody(nil, 0), nil},
		"publisher of 0": {ID{Run: 1, Seq: 1, Attempt: 1}.AppendBody(nil, 0), nil},
	} {
		if _, err := c.Deliver(d.body, 1, false); !errors.Is(err, d.err) {
			t.Errorf("%s: error %v, want %v", name, err, d.err)
		}
	}
	if s := l.Summary(); s.Phantoms != 7 || s.Unique != 0 || s.OK() {
		t.Errorf("summary\n%v\nwant 7 phantoms", s)
	}
}

func TestSummaryTellsOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(1)
		step := func(d time.Duration, note func()) { time.Sleep(d); note() }
		step(time.Second, l.Up)
		step(time.Second, l.Down)
		step(2*time.Second, l.Down) // told twice
		step(3*time.Second, l.Up)
		step(time.Second, l.Down)
		step(time.Second, l.Up)
		if s := l.Summary(); s.Recoveries != 2 || s.LongestOutage != 5*time.Second {
			t.Errorf("%d recoveries, longest outage %v", s.Recoveries, s.LongestOutage)
		}
		step(time.Second, l.Down)
		time.Sleep(time.Minute)
		if s := l.Summary(); s.Recoveries != 2 || s.LongestOutage != time.Minute {
			t.Errorf("%d recoveries, longest outage %v", s.Recoveries, s.LongestOutage)
		}
	})
}

func TestManyGoroutinesWriteOneLedger(t *testing.T) {
	const senders, messages = 8, 10_000
	l := New(1)
	var running sync.WaitGroup
	for range senders {
		running.Go(func() {
			p, c := l.Publisher(), l.Consumer("q")
			for range messages {
				m := p.Next(0, 64)
				id, err := c.Deliver(m.Body, 1, false)
				c.End(id, 1, err)
				p.Result(m.ID, Confirmed)
			}
		})
	}
	for range 10 {
		if s := l.Summary(); s.Phantoms > 0 {
			t.Errorf("deliveries are seen before their publishes:\n%v", s)
		}
	}
	running.Wait()
	s := l.Summary()
	if s.Published != senders*messages || s.Confirmed != s.Published || s.Unique != s.Published || !s.OK() || s.Duplicates > 0 {
		t.Errorf("summary\n%v", s)
	}
}
