package chaos

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/recovery"
)

const (
	recoverTimeout = 90 * time.Second // from the end of a fault until messages flow again
	drainTimeout   = 2 * time.Minute
	closeTimeout   = 10 * time.Second
)

// finish ends the load and checks what it promises: nothing confirmed is lost, every duplicate has a reason,
// topology and consumers are as they were, and nothing of the client runs after Close.
func (l *load) finish(t *testing.T) {
	t.Helper()
	ctx := within(t, drainTimeout)
	// 1st: drain.
	close(l.quit)
	select {
	case <-l.published:
	case <-ctx.Done():
		t.Fatalf("publishes without an outcome after %v: %+v", drainTimeout, l.pub.Stats())
	}
	for name, f := range map[string]func(context.Context) error{"drain": l.pub.Drain, "declare again": l.declare} {
		if err := l.call(ctx, name, f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !l.plan.deleted && !eventuallyEvery(ctx, commandInterval, drainTimeout, func() bool { return l.ledger.Summary().Lost == 0 }) {
		t.Errorf("the queue does not run empty")
	}
	after := l.checkInventory(ctx, t)
	if !l.plan.stream() {
		l.checkEmpty(ctx, t)
	}
	drained := !t.Failed()
	until := l.now(t)
	// 2nd: close.
	requeued := l.plan.prefetch*l.consumerLosses() + int(l.refused.Load())
	stats := l.pub.Stats()
	l.close(t)
	l.judge(t, until, drained, after)
	// 3rd: the books.
	summary, why := l.ledger.Summary(), l.book.explain(requeued)
	t.Logf("%v\n%v\n%+v", summary, why, stats)
	switch {
	case l.plan.deleted: // the ledger knows what may be lost
		if summary.Confirmed+summary.Returned != summary.Published || summary.Phantoms > 0 {
			t.Errorf("not everything was confirmed or returned")
		}
		if most := l.deletions * (l.plan.window + l.plan.prefetch); summary.Lost > most {
			t.Errorf("%d messages are lost, and no more than %d can have been in the queue", summary.Lost, most)
		}
	case !summary.OK() || summary.Confirmed+summary.Returned != summary.Published || summary.Returned != int(l.strays.Load()):
		t.Errorf("not everything was confirmed and consumed, or returned")
	}
	if summary.Confirmed < l.plan.messages {
		t.Errorf("%d messages confirmed, want at least %d", summary.Confirmed, l.plan.messages)
	}
	if l.plan.stream() || l.plan.unflagged() { // without the redelivered flag only the ledger can tell
		return
	}
	for _, line := range why.unexplained[:min(10, len(why.unexplained))] {
		t.Errorf("unexplained: %s", line)
	}
}

func (l *load) checkEmpty(ctx context.Context, t *testing.T) {
	t.Helper()
	var out string
	var err error
	if !eventuallyEvery(ctx, commandInterval, drainTimeout, func() bool {
		out, err = l.node.Ctl(ctx, "list_queues", "--no-table-headers", "name", "messages")
		return err == nil && strings.Contains(out, mainQueue+"\t0")
	}) {
		t.Errorf("messages left: %q, %v", out, err)
	}
}

// consumerLosses returns how often the consumer can have lost its channel with deliveries unsettled.
func (l *load) consumerLosses() int {
	n := 0
	for _, e := range l.events.since(0) {
		if e.Kind == recovery.EventConsumerLost || e.Kind == recovery.EventLost && e.Connection == "main" {
			n++
		}
	}
	return n
}

func (l *load) checkInventory(ctx context.Context, t *testing.T) (after string) {
	t.Helper()
	var err error
	same := func() bool {
		after, err = inventory(ctx, l.node)
		return err == nil && after == l.before
	}
	if !eventuallyEvery(ctx, commandInterval, recoverTimeout, same) {
		t.Errorf("the broker holds\n%s\n%v\nand held\n%s", after, err, l.before)
	}
	return after
}

// close closes the client and waits until nothing of it runs.
func (l *load) close(t testing.TB) {
	closeClient(t, l.client)
	l.consuming.Wait()
	requireNoGoroutines(t)
}

// closeClient closes a client, which may take its time but not forever.
func closeClient(t testing.TB, client *warren.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	begun := time.Now()
	if err := client.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
	if took := time.Since(begun); took > closeTimeout+time.Second {
		t.Errorf("Close took %v, its context had ended after %v", took, closeTimeout)
	}
}
