// Package hook calls functions of the application in such a way that one that
// ends its goroutine does not end one of the library's.
package hook

import "errors"

// ErrExited: a function of the application ended its goroutine with
// runtime.Goexit, as FailNow of package testing does, instead of returning.
var ErrExited = errors.New("the function ended its goroutine (runtime.Goexit, or FailNow of package testing) instead of returning")

// Call returns what f returns, or [ErrExited]. It runs f on a goroutine of its
// own. A panic ends the process, as on any goroutine.
func Call[T any](f func() (T, error)) (T, error) {
	return (<-Start(f)).Get()
}

// Do is Call for a function without a result.
func Do(f func()) error {
	_, err := Call(func() (struct{}, error) { f(); return struct{}{}, nil })
	return err
}

// Answer is what a function returned.
type Answer[T any] struct {
	Value T
	Err   error
}

// Get returns both parts.
func (a Answer[T]) Get() (T, error) { return a.Value, a.Err }

// Start is Call without the waiting. The channel has room for the answer, so
// that nobody need take it.
func Start[T any](f func() (T, error)) <-chan Answer[T] {
	done := make(chan Answer[T], 1)
	go func() {
		a := Answer[T]{Err: ErrExited}
		defer func() { done <- a }()
		a.Value, a.Err = f()
	}()
	return done
}
