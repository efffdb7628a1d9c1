package topology

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/warren-mq/warren/internal/rabbitmq"
)

// argument says what RabbitMQ takes for an argument of a queue. The rules are
// those of 4.3, tried out one by one; see the test that compares.
type argument struct {
	check func(any) error
	types []string // queue types that know it; nil: all
}

const (
	maxMilliseconds = 3650 * 24 * 60 * 60 * 1000
	maxSegment      = 3_000_000_000
)

var (
	classicOnly      = []string{Classic}
	quorumOnly       = []string{Quorum}
	streamOnly       = []string{Stream}
	classicAndQuorum = []string{Classic, Quorum}
)

var queueArguments = map[string]argument{
	"x-queue-type":             {oneOf(Classic, Quorum, Stream), nil},
	"x-message-ttl":            {within(0, maxMilliseconds), classicAndQuorum},
	"x-expires":                {within(1, maxMilliseconds), classicAndQuorum},
	"x-max-length":             {within(0, noLimit), classicAndQuorum},
	"x-max-length-bytes":       {within(0, noLimit), nil},
	"x-overflow":               {oneOf(DropHead, RejectPublish, RejectPublishDLX), classicAndQuorum},
	"x-dead-letter-exchange":   {aString, classicAndQuorum},
	"x-single-active-consumer": {aBool, classicAndQuorum},
	"x-queue-leader-locator":   {oneOf(ClientLocal, Balanced, "random", "least-leaders"), nil},
	// needs an exchange, see problems.queue
	"x-dead-letter-routing-key": {aString, classicAndQuorum},

	"x-max-priority":         {within(0, 255), classicOnly},
	"x-queue-mode":           {nil, classicOnly},
	"x-queue-version":        {within(1, 2), classicOnly},
	"x-queue-master-locator": {nil, classicOnly},

	"x-dead-letter-strategy":          {oneOf("at-most-once", "at-least-once"), quorumOnly},
	"x-delivery-limit":                {nil, quorumOnly},
	"x-quorum-initial-group-size":     {within(1, noLimit), quorumOnly},
	"x-max-in-memory-length":          {within(0, noLimit), quorumOnly},
	"x-max-in-memory-bytes":           {within(0, noLimit), quorumOnly},
	"x-consumer-timeout":              {within(0, noLimit), quorumOnly},
	"x-consumer-disconnected-timeout": {within(0, noLimit), quorumOnly},
	"x-delayed-retry-type":            {nil, quorumOnly},
	"x-delayed-retry-min":             {nil, quorumOnly},
	"x-delayed-retry-max":             {nil, quorumOnly},

	"x-max-age":                       {anAge, streamOnly},
	"x-initial-cluster-size":          {within(1, noLimit), streamOnly},
	"x-stream-max-segment-size-bytes": {within(0, maxSegment), streamOnly},
	"x-stream-filter-size-bytes":      {within(16, 255), streamOnly},
}

const noLimit = -1

// within wants a whole number from low to high, whatever its width.
func within(low, high int64) func(any) error {
	return func(v any) error {
		n, ok := rabbitmq.Integer(v)
		switch {
		case !ok:
			return fmt.Errorf("must be a whole number, not %T", v)
		case n < low:
			return fmt.Errorf("must be at least %d, not %d", low, n)
		case high != noLimit && n > high:
			return fmt.Errorf("must be at most %d, not %d", high, n)
		}
		return nil
	}
}

func oneOf(choices ...string) func(any) error {
	return func(v any) error {
		s, ok := v.(string)
		if !ok || !slices.Contains(choices, s) {
			return fmt.Errorf("must be one of %s, not %#v", strings.Join(choices, ", "), v)
		}
		return nil
	}
}

func aString(v any) error {
	if _, ok := v.(string); !ok {
		return fmt.Errorf("must be a string, not %T", v)
	}
	return nil
}

func aBool(v any) error {
	if _, ok := v.(bool); !ok {
		return fmt.Errorf("must be true or false, not %T", v)
	}
	return nil
}

var age = regexp.MustCompile(`^0*[1-9][0-9]*[YMDhms]$`)

func anAge(v any) error {
	if s, ok := v.(string); !ok || !age.MatchString(s) {
		return errors.New(`must be a number of Y, M, D, h, m or s, like "7D"`)
	}
	return nil
}
