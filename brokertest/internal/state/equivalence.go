package state

import (
	"fmt"

	"github.com/warren-mq/warren/core/wire"
)

// firstRefusal returns the first that is one.
func firstRefusal(rs ...*Refusal) *Refusal {
	for _, r := range rs {
		if r != nil {
			return r
		}
	}
	return nil
}

// sameField refuses a declaration whose field differs from what is there.
func sameField[T comparable](key string, received, current T, what string) *Refusal {
	if received == current {
		return nil
	}
	return inequivalent(key, what, fmt.Sprintf("'%v'", received), fmt.Sprintf("'%v'", current))
}

// sameArgument does the same for an argument. Numbers are compared by value.
func sameArgument(key string, received, current wire.Table, what string) *Refusal {
	r, hasR := received[key]
	c, hasC := current[key]
	switch {
	case !hasR && !hasC:
		return nil
	case hasR && hasC:
		if equalTerm(r, c) && typeClass(r) == typeClass(c) || bare(r) == bare(c) {
			return nil
		}
		return inequivalent(key, what, "'"+bare(r)+"'", "'"+bare(c)+"'")
	case hasR:
		return inequivalent(key, what, typed(r), "none")
	default:
		return inequivalent(key, what, "none", typed(c))
	}
}

// sameAge is sameArgument for x-max-age since RabbitMQ 4.3, which compares the time and not its unit, and shows
// it in milliseconds.
func sameAge(received, current wire.Table, what string) *Refusal {
	r, _ := received[argMaxAge].(string)
	c, _ := current[argMaxAge].(string)
	one, ok := parseMaxAge(r)
	two, too := parseMaxAge(c)
	if !ok || !too {
		return sameArgument(argMaxAge, received, current, what)
	}
	return sameField(argMaxAge, one*1000, two*1000, what)
}

func inequivalent(key, what, received, current string) *Refusal {
	return Refuse(PreconditionFailed, "inequivalent arg '%s' for %s: received %s but current is %s",
		key, what, received, current)
}

func typed(v any) string { return fmt.Sprintf("the value '%s' of type '%s'", bare(v), typeName(v)) }

// bare is a value as RabbitMQ shows it in reply texts, text without quotes.
func bare(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return term(v)
}
