package chaos

import (
	"errors"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/recovery"
)

// exclusiveRace has the client come back, by another way, while the broker still holds its old connection and
// with it the exclusive queue: that is refused until the broker has found the old one dead.
func exclusiveRace(t *testing.T, b *broker) {
	old, err := faultproxy.New(b.proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	g := visit(t, b, warren.WithResolver(recovery.Endpoints(core.Config{Addr: old.Addr()}, core.Config{Addr: b.Addr()})),
		warren.WithConnection(func(c *core.Config) { c.Heartbeat, c.CloseTimeout = 2*time.Second, time.Second }))
	ctx := within(t, 2*time.Minute)
	if _, err := g.Declare(ctx, warren.Topology{
		Exchanges: []warren.Exchange{{Name: "mine"}},
		Queues:    []warren.Queue{{Name: "mine", Exclusive: true, Transient: true}},
		Bindings:  []warren.Binding{{Source: "mine", Destination: "mine", RoutingKey: "k"}},
	}); err != nil {
		t.Fatal(err)
	}
	got := &arrivals{seen: map[string]bool{}}
	got.consume(ctx, t, g, "mine")
	pub, err := g.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	publish := func(body string) {
		t.Helper()
		if err := pub.Publish(ctx, warren.Message{Exchange: "mine", RoutingKey: "k", Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	publish("1")
	if !eventually(ctx, recoverTimeout, func() bool { return got.have("mine", 1) }) {
		t.Fatal("nothing is consumed")
	}
	mark := g.events.mark()
	old.Pause(faultproxy.Both)
	g.Reconnect(nil)
	locked := wanted{"quarantined by 405", func(e warren.Event) bool {
		return e.Kind == recovery.EventQuarantined && errors.Is(e.Err, core.ErrResourceLocked)
	}}
	if err := g.events.await(ctx, mark, locked); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := g.AwaitReady(ctx); err != nil {
		t.Fatalf("%v: state %+v", err, g.State())
	}
	publish("2")
	if !eventually(ctx, recoverTimeout, func() bool { return got.have("mine", 2) }) {
		t.Error("nothing is consumed after the race")
	}
	if n := g.events.count(mark, locked); n > 100 {
		t.Errorf("refused %d times", n)
	} else {
		t.Logf("refused %d times, ready after %v", n, time.Since(begun).Round(time.Millisecond))
	}
}
