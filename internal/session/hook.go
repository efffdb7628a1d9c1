package session

import (
	"context"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/hook"
)

// hookGrace is how long a function of the application may take to notice that
// its context has ended.
const hookGrace = time.Second

// ask returns what f, a function of the application, returns. If it goes on
// after the end of its ctx it is waited for no longer, and the answer is
// otherwise, as when it ends its goroutine: no such function can stall
// recovery, or Close.
func ask[T any](ctx context.Context, otherwise T, f func() T) T {
	answer, err := within(ctx, func() (T, error) { return f(), nil })
	if err != nil {
		return otherwise
	}
	return answer
}

// within is [hook.Call] that waits no longer than ctx and hookGrace.
func within[T any](ctx context.Context, f func() (T, error)) (T, error) {
	answer := hook.Start(f)
	select {
	case a := <-answer:
		return a.Get()
	case <-ctx.Done():
	}
	grace := time.NewTimer(hookGrace)
	defer grace.Stop()
	select {
	case a := <-answer:
		return a.Get()
	case <-grace.C:
		var none T
		return none, core.ErrTimeout
	}
}

// lookupTimeout is how long a resolver, or a source of credentials, is waited for.
const lookupTimeout = 10 * time.Second

// lookUp returns what f, a function of the application, returns within lookupTimeout.
func lookUp[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookupTimeout, core.ErrTimeout)
	defer cancel()
	return within(ctx, func() (T, error) { return f(ctx) })
}
