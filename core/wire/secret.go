package wire

import (
	"fmt"
	"io"
)

const redacted = "[redacted]"

// Secret is a field that holds credentials. It behaves as the []byte it is, but package fmt and the text
// and JSON encoders show a fixed word in its place, so a method can be logged whole.
type Secret []byte

// Format writes the word "[redacted]" for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns the word "[redacted]".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
