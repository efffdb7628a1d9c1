//go:build !linux

package core

// boundUnsent does nothing: other kernels wake a writer as soon as there is
// room for a little, and the size of a write follows the link's pace.
func (link) boundUnsent(int) {}

// held returns 0: what the socket took counts as gone.
func (link) held() int64 { return 0 }
