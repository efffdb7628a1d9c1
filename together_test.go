package warren_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/recovery"
)

// TestBothConnectionsComeBackTogether: what one of a client's connections finds out the other need not.
func TestBothConnectionsComeBackTogether(t *testing.T) {
	const longest, spread = 10500 * time.Millisecond, 500 * time.Millisecond
	for _, outage := range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second, time.Minute, 10 * time.Minute} {
		for range 10 {
			inBubble(t, func(e *env) {
				client := e.dial()
				e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
				pub, err := client.Publisher()
				if err != nil {
					t.Fatal(err)
				}
				if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				opened := map[string]time.Time{}
				client.Listen(func(ev warren.Event) {
					if ev.Kind == recovery.EventOpened {
						opened[ev.Connection] = ev.Time
					}
				})
				e.broker.Stop()
				time.Sleep(outage)
				begun := time.Now()
				e.broker.Start()
				if err := client.AwaitReady(e.ctx); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if back := time.Since(begun); back > longest+spread {
					t.Errorf("after %v all is back %v after the broker", outage, back)
				}
				if apart := opened["main"].Sub(opened["publish"]).Abs(); len(opened) != 2 || apart >= spread {
					t.Errorf("after %v: %v apart, %v", outage, apart, opened)
				}
				e.close(client)
			})
		}
	}
}

// TestAConnectionThatIsNotUsedDoesNotCount: a service that only publishes is ready while it can, and so is one that no
// longer does.
func TestAConnectionThatIsNotUsedDoesNotCount(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		connections := func() (names []string) {
			for _, h := range client.Health().Connections {
				names = append(names, h.Connection)
			}
			return names
		}
		want := func(when string, names ...string) {
			t.Helper()
			if got := connections(); len(got) != len(names) || got[0] != names[0] || got[len(got)-1] != names[len(names)-1] {
				t.Errorf("%s: %v count, want %v", when, got, names)
			}
		}
		want("nothing uses it", "main")
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "nowhere"}); !errors.Is(err, core.ErrReturned) {
			t.Fatal(err)
		}
		want("it publishes", "publish")
		e.broker.RefuseConnections()
		e.broker.Links()[0].Reset() // the main connection
		time.Sleep(time.Minute)
		if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "nowhere"}); !errors.Is(err, core.ErrReturned) {
			t.Error(err)
		}
		if s := client.State(); !s.Ready() || !client.Health().Ready {
			t.Errorf("%+v while publishing works", s)
		}
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Error(err)
		}
		waiting := make(chan error, 1)
		go func() {
			ch, err := client.Channel(e.ctx)
			if err == nil {
				want("it has a channel too", "main", "publish")
				err = ch.Close(e.ctx)
			}
			waiting <- err
		}()
		synctest.Wait()
		if s := client.State(); s.Ready() {
			t.Errorf("%+v while a channel waits for its connection", s)
		}
		e.broker.Start()
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		want("the channel is closed", "publish")
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		want("something is declared", "main", "publish")
		if err := pub.Close(e.ctx); err != nil {
			t.Error(err)
		}
		want("it publishes no more", "main")
		e.broker.RefuseConnections()
		e.broker.Links()[0].Reset() // the connection to publish on
		time.Sleep(time.Minute)
		if s := client.State(); !s.Ready() {
			t.Errorf("%+v without a publisher", s)
		}
		e.broker.Start()
		e.close(client)
	})
}

// TestAClientStartsWhileTheBrokerIsDown: until the first connection everything is as in an outage.
func TestAClientStartsWhileTheBrokerIsDown(t *testing.T) {
	inBubble(t, func(e *env) {
		e.broker.Stop()
		var refused atomic.Int64
		client, err := warren.New(url, e.overMemory(), warren.WithListener(func(ev warren.Event) {
			if ev.Kind == recovery.EventRetrying && ev.Err != nil {
				refused.Add(1)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if s := client.State(); s.Stage != recovery.StageConnecting || s.Ready() || !client.Health().Live || client.Health().Err() == nil {
			t.Errorf("%+v", s)
		}
		soon, cancel := context.WithTimeout(e.ctx, 5*time.Second)
		defer cancel()
		if err := client.AwaitReady(soon); !isDialError(err) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("await: %v", err)
		}
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := pub.Send(e.ctx, warren.Message{RoutingKey: "q"})
		if err != nil {
			t.Fatal(err)
		}
		declared, consumed, handled := make(chan error, 1), make(chan error, 1), make(chan struct{}, 1)
		ctx, stop := context.WithCancel(e.ctx)
		go func() {
			_, err := client.Declare(e.ctx, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
			declared <- err
			consumed <- client.Consume(ctx, "q", func(context.Context, *warren.Delivery) error {
				handled <- struct{}{}
				return nil
			})
		}()
		time.Sleep(time.Minute)
		if err := client.State().Cause; !isDialError(err) || refused.Load() == 0 {
			t.Errorf("after a minute: %v, and %d events", err, refused.Load())
		}
		e.broker.Start()
		if err := <-declared; err != nil {
			t.Error(err)
		}
		if outcome, err := receipt.Wait(e.ctx); outcome != core.OutcomeConfirmed {
			// It may have come before its queue, as with any client that publishes before it declares.
			if outcome != core.OutcomeReturned {
				t.Errorf("%v, %v", outcome, err)
			}
			if err := pub.Publish(e.ctx, warren.Message{RoutingKey: "q"}); err != nil {
				t.Error(err)
			}
		}
		<-handled
		if err := client.AwaitReady(e.ctx); err != nil {
			t.Error(err)
		}
		stop()
		<-consumed
		e.close(client)
	})
}

// TestAWrongPasswordIsTold wherever somebody waits for the connection, and where its state is shown.
func TestAWrongPasswordIsTold(t *testing.T) {
	inBubble(t, func(e *env) {
		for name, dial := range map[string]func(ctx context.Context) error{
			"retried at first": func(ctx context.Context) error {
				_, err := warren.Dial(ctx, secretURL, warren.WithInitialRetry(), e.overMemory())
				return err
			},
			"in the background": func(ctx context.Context) error {
				var said heard
				client, err := warren.New(secretURL, append(said.options(), e.overMemory())...)
				if err != nil {
					return err
				}
				defer e.close(client)
				_, declare := client.Declare(ctx, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
				_, compare := client.Compare(ctx, warren.Topology{})
				_, channel := client.Channel(ctx)
				for what, err := range map[string]error{"declare": declare, "compare": compare, "channel": channel,
					"state": client.State().Cause, "health": client.Health().Err()} {
					if !errors.Is(err, core.ErrAuth) || !isDialError(err) {
						t.Errorf("%s: %v", what, err)
					}
					said.wantNoSecret(t, err)
				}
				if said.heardEvents() == 0 {
					t.Error("no event")
				}
				return client.AwaitReady(ctx)
			},
		} {
			ctx, cancel := context.WithTimeout(e.ctx, 2*time.Second)
			err := dial(ctx)
			cancel()
			if !errors.Is(err, core.ErrAuth) || !errors.Is(err, context.DeadlineExceeded) || !isDialError(err) {
				t.Errorf("%s: %v", name, err)
			}
			t.Log(err)
		}
	})
}

func TestNewRefusesWhatNoConnectionIsNeededToKnow(t *testing.T) {
	inBubble(t, func(e *env) {
		for name, opts := range map[string][]warren.Option{
			"http://broker":   nil,
			"amqp:/localhost": nil,
			url:               {warren.WithConnection(func(c *core.Config) { c.Heartbeat = 1500 * time.Millisecond })},
			url + "/v":        {warren.WithResolver(recovery.Endpoints())},
			url + "/w":        {warren.WithRecovery(func(c *recovery.Config) { c.SlowRetry = -1 })},
		} {
			if _, err := warren.New(name, append(opts, e.overMemory())...); !isValidation(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := e.dialled(); n != 0 {
			t.Errorf("%d attempts", n)
		}
	})
}

func isDialError(err error) bool {
	_, ok := errs.AsType[*core.DialError](err)
	return ok
}
