package state

import (
	"strings"

	"github.com/warren-mq/warren/core/wire"
)

const argMatch = "x-match"

// headersMatch is what a binding of a headers exchange asks for.
type headersMatch struct {
	any    bool
	wanted wire.Table
}

func newHeadersMatch(args wire.Table) headersMatch {
	mode, _ := args[argMatch].(string)
	m := headersMatch{any: mode == "any" || mode == "any-with-x", wanted: wire.Table{}}
	withX := strings.HasSuffix(mode, "-with-x")
	for k, v := range args {
		if k != argMatch && (withX || !strings.HasPrefix(k, "x-")) {
			m.wanted[k] = v
		}
	}
	return m
}

// matches compares with the headers of a message. A wanted void asks only that the header is there.
func (m headersMatch) matches(headers wire.Table) bool {
	for k, v := range m.wanted {
		got, ok := headers[k]
		ok = ok && (v == nil || equalTerm(v, got))
		if ok == m.any {
			return ok
		}
	}
	return !m.any
}

func checkMatch(args wire.Table) *Refusal {
	value, ok := args[argMatch]
	if !ok {
		return nil
	}
	switch value {
	case "all", "any", "all-with-x", "any-with-x":
		return nil
	}
	if _, ok := value.(string); !ok {
		return Refuse(PreconditionFailed, "Invalid x-match field type %s (value %s); expected longstr", typeName(value), term(value))
	}
	return Refuse(PreconditionFailed, "Invalid x-match field value %s; expected all, any, all-with-x, or any-with-x", term(value))
}
