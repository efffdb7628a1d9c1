// Package errs is a part of package errors that Go 1.25 does not have.
package errs

import "errors"

// AsType is errors.AsType of Go 1.26.
func AsType[E error](err error) (E, bool) {
	var e E
	ok := errors.As(err, &e)
	return e, ok
}
