package gate_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/internal/gate"
)

func TestWakeReleasesEveryWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards g
		var g gate.Gate
		var released sync.WaitGroup
		for range 3 {
			mu.Lock()
			c := g.Wait()
			mu.Unlock()
			released.Go(func() {
				if err := gate.Await(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		mu.Lock()
		g.Wake()
		mu.Unlock()
		released.Wait()
	})
}

func TestWakeWithoutWaiters(t *testing.T) {
	var g gate.Gate
	g.Wake()
	select {
	case <-g.Wait():
		t.Fatal("an earlier wake was remembered")
	default:
	}
}

func TestAwaitReturnsTheCause(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := gate.Await(ctx, make(chan struct{})); !errors.Is(err, cause) {
		t.Fatalf("got %v", err)
	}
}
