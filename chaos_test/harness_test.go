package chaos

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/docker"
)

// within returns a context that bounds one step of a test.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestBrokerFaults works on one broker; each step leaves it ready for the next.
func TestBrokerFaults(t *testing.T) {
	b := startBroker(t, docker.MainVersion)
	addr := b.Addr()
	ctx := within(t, 3*time.Minute)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.Pause(ctx))
	if err := docker.Hello(ctx, addr); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Hello to a paused broker = %v, want a timeout", err)
	}
	must(b.Unpause(ctx))
	must(b.WaitReady(ctx))
	_, err := b.Ctl(ctx, "add_vhost", "kept")
	must(err)
	must(b.Kill(ctx))
	if err := docker.Hello(ctx, addr); err == nil {
		t.Error("a killed broker answers")
	}
	must(b.Restart(ctx))
	if vhosts, err := b.Ctl(ctx, "list_vhosts"); err != nil || !strings.Contains(vhosts, "kept") {
		t.Errorf("virtual hosts after the restart: %q, %v", vhosts, err)
	}
	must(b.Stop(ctx))
	if logs, err := b.Logs(ctx); err != nil || !strings.Contains(logs, "SIGTERM") {
		t.Errorf("the broker's log does not mention SIGTERM (%v)", err)
	}
	must(b.Restart(ctx))
	if b.Addr() != addr {
		t.Errorf("address %s after the restarts, %s before", b.Addr(), addr)
	}
}

func TestClusterPartitionIsSeenAndHealed(t *testing.T) {
	c := startCluster(t, docker.MainVersion)
	ctx := within(t, 3*time.Minute)
	cut := c.nodes[2]
	if err := c.Partition(ctx, cut); err != nil {
		t.Fatal(err)
	}
	if !eventuallyEvery(ctx, commandInterval, 2*time.Minute, func() bool { return c.others(ctx, cut) == clusterSize-1 }) {
		t.Error("the partition had no effect")
	}
	if err := c.Heal(ctx, cut); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitRunning(ctx, clusterSize); err != nil {
		t.Error(err)
	}
	if err := cut.WaitReady(ctx); err != nil {
		t.Error(err)
	}
}
