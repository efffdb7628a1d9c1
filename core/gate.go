package core

import "context"

// gate lets goroutines wait, with a context, for a change of state that some
// lock guards, without holding that lock. The zero value is ready.
//
//	mu.Lock()
//	for !condition { c := g.wait(); mu.Unlock(); <-c; mu.Lock() }
type gate struct{ c chan struct{} }

// wait returns a channel that is closed at the next call of wake. The lock is held.
func (g *gate) wait() <-chan struct{} {
	if g.c == nil {
		g.c = make(chan struct{})
	}
	return g.c
}

// wake lets every waiter look again. The lock is held.
func (g *gate) wake() {
	if g.c != nil {
		close(g.c)
		g.c = nil
	}
}

// await waits for c or for the end of ctx, whose cause it then returns.
func await(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
