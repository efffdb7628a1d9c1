package state

import (
	"strings"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

const argMatch = "x-match"

// headersMatch is what a binding of a headers exchange asks for.
type headersMatch struct {
	any    bool
	wanted wire.Table
	loose  bool // as before RabbitMQ 4.0
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
		ok = ok && m.same(v, got)
		if ok == m.any {
			return ok
		}
	}
	return !m.any
}

// same compares a header with what is wanted of it. Before RabbitMQ 4.0 numbers are compared by value
// alone, of whatever type. Since then a wanted time is a whole number, and no header that is a time is found.
func (m headersMatch) same(want, got any) bool {
	if want == nil {
		return true
	}
	if m.loose {
		x, ok := numeric(want)
		y, too := numeric(got)
		return ok && too && x == y || equalTerm(want, got)
	}
	if _, never := got.(time.Time); never {
		return false
	}
	if t, ok := want.(time.Time); ok {
		want = t.Unix()
	}
	return equalTerm(want, got)
}

// numeric returns the value of any number and of a time.
func numeric(v any) (float64, bool) {
	switch v := v.(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	case time.Time:
		return float64(v.Unix()), true
	}
	n, ok := integer(v)
	return float64(n), ok
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
