package recovery

// Failure is an entity or a consumer that could not be restored.
type Failure struct {
	Entity string
	Err    error
}

// Error makes a failure an error.
func (f Failure) Error() string { return f.Entity + ": " + f.Err.Error() }

// Unwrap returns the cause.
func (f Failure) Unwrap() error { return f.Err }
