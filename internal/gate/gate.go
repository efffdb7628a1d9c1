// Package gate lets goroutines wait, with a context, for a change of state
// that some lock guards, without holding that lock.
package gate

import (
	"context"
	"fmt"
)

// Gate is the place to wait. The zero value is ready. Its methods are called
// with the lock held that guards the state waited for:
//
//	mu.Lock()
//	for !condition {
//		changed := g.Wait()
//		mu.Unlock()
//		err := gate.Await(ctx, changed)
//		mu.Lock()
//	}
type Gate struct{ c chan struct{} }

// Wait returns a channel that is closed at the next call of Wake.
func (g *Gate) Wait() <-chan struct{} {
	if g.c == nil {
		g.c = make(chan struct{})
	}
	return g.c
}

// Wake lets everyone who waits look again.
func (g *Gate) Wake() {
	if g.c != nil {
		close(g.c)
		g.c = nil
	}
}

// Waiting returns err, with which a wait ended, with what was waited for and, unless nil, why that did not come.
func Waiting(err error, what string, why error) error {
	if why != nil {
		return fmt.Errorf("%w, waiting for %s: %w", err, what, why)
	}
	return fmt.Errorf("%w, waiting for %s", err, what)
}

// Await waits for c to be closed, or for the end of ctx, whose cause it then returns.
func Await(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
