package recovery

import (
	"context"
	"time"

	"github.com/warren-mq/warren/core"
)

// hookGrace is how long a function of the application may take to notice that
// its context has ended.
const hookGrace = time.Second

// ask returns what f, a function of the application, returns. If it goes on
// after the end of its ctx it is waited for no longer, and the answer is
// otherwise: no such function can stall recovery, or Close.
func ask[T any](ctx context.Context, otherwise T, f func() T) T {
	answer := make(chan T, 1)
	go func() { answer <- f() }()
	select {
	case a := <-answer:
		return a
	case <-ctx.Done():
	}
	grace := time.NewTimer(hookGrace)
	defer grace.Stop()
	select {
	case a := <-answer:
		return a
	case <-grace.C:
		return otherwise
	}
}

// lookupTimeout is how long a resolver, or a source of credentials, is waited for.
const lookupTimeout = 10 * time.Second

// lookUp returns what f, a function of the application, returns within lookupTimeout.
func lookUp[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lookupTimeout, core.ErrTimeout)
	defer cancel()
	a := ask(ctx, answer{err: core.ErrTimeout}, func() answer {
		value, err := f(ctx)
		return answer{value, err}
	})
	return a.value, a.err
}
