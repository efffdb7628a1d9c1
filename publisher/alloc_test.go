//go:build !race

// The race detector allocates by itself and has pools forget: make test runs these tests without it.

package publisher

import (
	"context"
	"testing"

	"github.com/warren-mq/warren/core"
)

// TestPublishAllocatesNothing is about this package's part of a publish that
// waits for its outcome: admission, message id, receipt and settlement.
func TestPublishAllocatesNothing(t *testing.T) {
	p, err := New(nil, Exchange("x"))
	if err != nil {
		t.Fatal(err)
	}
	p.started, p.live = true, &core.Channel{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m := Message{RoutingKey: "k", Body: make([]byte, 100)}
	run := func() {
		r := p.pooled(ctx, &m)
		if _, err := p.admit(ctx, r); err != nil {
			t.Fatal(err)
		}
		(*settler)(r).Settle(core.Verdict{Outcome: core.OutcomeConfirmed})
		if err := p.result(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(10_000, run); n != 0 { // ids come by the chunk
		t.Errorf("%v allocations", n)
	}
}

// TestSendAllocatesTheReceipt and nothing else, with a context that never ends.
func TestSendAllocatesTheReceipt(t *testing.T) {
	p, err := New(nil, Exchange("x"))
	if err != nil {
		t.Fatal(err)
	}
	p.started, p.live = true, &core.Channel{}
	m := Message{RoutingKey: "k", Body: make([]byte, 100)}
	var last *Receipt
	n := testing.AllocsPerRun(10_000, func() {
		last = &Receipt{p: p, ctx: context.Background()}
		p.publishing(last, &m)
		if _, err := p.admit(context.Background(), last); err != nil {
			t.Fatal(err)
		}
		(*settler)(last).Settle(core.Verdict{Outcome: core.OutcomeConfirmed})
	})
	if n != 1 {
		t.Errorf("%v allocations", n)
	}
}
