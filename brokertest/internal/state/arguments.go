package state

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/warren-mq/warren/core/wire"
)

// Kinds of queues, as x-queue-type names them.
const (
	kindClassic = "classic"
	kindQuorum  = "quorum"
	kindStream  = "stream"
)

// Arguments of queues and consumers.
const (
	argQueueType       = "x-queue-type"
	argExpires         = "x-expires"
	argMessageTTL      = "x-message-ttl"
	argDeadLetter      = "x-dead-letter-exchange"
	argDeadLetterKey   = "x-dead-letter-routing-key"
	argMaxLength       = "x-max-length"
	argMaxLengthBytes  = "x-max-length-bytes"
	argMaxPriority     = "x-max-priority"
	argOverflow        = "x-overflow"
	argSingleActive    = "x-single-active-consumer"
	argDeliveryLimit   = "x-delivery-limit"
	argConsumerTimeout = "x-consumer-timeout"
	argMaxAge          = "x-max-age"
	argRetryType       = "x-delayed-retry-type"
	argRetryMin        = "x-delayed-retry-min"
	argRetryMax        = "x-delayed-retry-max"
	argSegmentBytes    = "x-stream-max-segment-size-bytes"
	argPriority        = "x-priority"
	argStreamOffset    = "x-stream-offset"
	argLeaderLocator   = "x-queue-leader-locator"
	argStreamFilter    = "x-stream-filter"
)

// queueArguments lists what each kind of queue knows.
var queueArguments = map[string][]string{
	kindClassic: {argExpires, argMessageTTL, argDeadLetter, argDeadLetterKey, argMaxLength, argMaxLengthBytes,
		argMaxPriority, argOverflow, "x-queue-mode", "x-queue-version", argSingleActive, argQueueType,
		"x-queue-master-locator", argLeaderLocator},
	kindQuorum: {argDeadLetter, argDeadLetterKey, "x-dead-letter-strategy", argExpires, argMaxLength, argMaxLengthBytes,
		"x-max-in-memory-length", "x-max-in-memory-bytes", argOverflow, argSingleActive, argQueueType,
		"x-quorum-initial-group-size", argDeliveryLimit, argMessageTTL, argLeaderLocator,
		"x-consumer-disconnected-timeout", argConsumerTimeout,
		argRetryType, argRetryMin, argRetryMax},
	kindStream: {argMaxLengthBytes, argQueueType, argMaxAge, argSegmentBytes,
		"x-stream-filter-size-bytes", "x-initial-cluster-size", argLeaderLocator},
}

var consumerArguments = map[string][]string{
	kindClassic: {argPriority},
	kindQuorum:  {argPriority, argConsumerTimeout},
	kindStream:  {argStreamOffset, argStreamFilter, "x-stream-match-unfiltered"},
}

// argumentCheck returns what is wrong with a value, in RabbitMQ's words.
type argumentCheck func(v any, args wire.Table) string

// queueChecks and consumerChecks are in the order in which RabbitMQ looks.
var queueChecks = []struct {
	key   string
	check argumentCheck
}{
	{argExpires, checkExpires}, {argMessageTTL, checkTTL}, {argDeadLetter, checkString},
	{argDeadLetterKey, checkDeadLetterKey}, {"x-dead-letter-strategy", checkOneOf("invalid_dlx_strategy", "at-most-once", "at-least-once")},
	{argMaxLength, checkNatural}, {argMaxLengthBytes, checkNatural},
	{"x-max-in-memory-length", checkNatural}, {"x-max-in-memory-bytes", checkNatural}, {argMaxPriority, checkMaxPriority},
	{argOverflow, checkOneOf("invalid_overflow", "drop-head", "reject-publish", "reject-publish-dlx")},
	{"x-queue-version", checkQueueVersion}, {argSingleActive, checkBool},
	{argConsumerTimeout, checkNatural}, {"x-consumer-disconnected-timeout", checkNatural},
	{"x-quorum-initial-group-size", checkPositive}, {argMaxAge, checkMaxAge},
	{argSegmentBytes, checkNatural}, {"x-stream-filter-size-bytes", checkNatural},
	{"x-initial-cluster-size", checkPositive},
	{argLeaderLocator, checkOneOf("invalid_queue_locator_arg", "client-local", "balanced", "random", "least-leaders")},
}

var consumerChecks = []struct {
	key   string
	check argumentCheck
}{{argPriority, checkInteger}, {argConsumerTimeout, checkNatural}, {argStreamOffset, checkStreamOffset}}

// checkQueueArguments returns the kind of queue that the arguments ask for.
func checkQueueArguments(args wire.Table, what string) (kind string, r *Refusal) {
	kind = kindClassic
	if v, ok := args[argQueueType]; ok {
		if kind, ok = v.(string); !ok {
			return "", invalidArgument(argQueueType, what, "{unacceptable_type,"+typeName(v)+"}")
		}
	}
	if queueArguments[kind] == nil {
		return "", invalidArgument(argQueueType, what, `"unsupported queue type '`+kind+`'"`)
	}
	for _, c := range queueChecks {
		v, ok := args[c.key]
		if !ok || !slices.Contains(queueArguments[kind], c.key) {
			continue
		}
		if reason := c.check(v, args); reason != "" {
			return "", invalidArgument(c.key, what, reason)
		}
	}
	return kind, checkKeys(args, kind, queueArguments, what)
}

func checkConsumerArguments(args wire.Table, kind, what string) *Refusal {
	for _, c := range consumerChecks {
		v, ok := args[c.key]
		if !ok || !slices.Contains(consumerArguments[kind], c.key) {
			continue
		}
		if reason := c.check(v, args); reason != "" {
			return invalidArgument(c.key, what, reason)
		}
	}
	return checkKeys(args, kind, consumerArguments, what)
}

// checkKeys refuses what only other kinds of queues know. What no kind knows is ignored.
func checkKeys(args wire.Table, kind string, known map[string][]string, what string) *Refusal {
	for _, key := range slices.Sorted(maps.Keys(args)) {
		if slices.Contains(known[kind], key) {
			continue
		}
		for _, others := range known {
			if slices.Contains(others, key) {
				return Refuse(PreconditionFailed, "invalid arg '%s' for %s of queue type rabbit_%s_queue", key, what, kind)
			}
		}
	}
	return nil
}

func invalidArgument(key, what, reason string) *Refusal {
	return Refuse(PreconditionFailed, "invalid arg '%s' for %s: %s", key, what, reason)
}

func checkInteger(v any, _ wire.Table) string {
	switch typeClass(v) {
	case "int":
		return ""
	}
	return `"expected integer, got ` + typeName(v) + `"`
}

func checkNatural(v any, args wire.Table) string {
	if reason := checkInteger(v, args); reason != "" {
		return reason
	}
	if n, _ := integer(v); n < 0 {
		return fmt.Sprintf("{value_negative,%d}", n)
	}
	return ""
}

func checkPositive(v any, args wire.Table) string {
	if n, ok := integer(v); ok && n == 0 {
		return "{value_zero,0}"
	}
	return checkNatural(v, args)
}

func checkTTL(v any, args wire.Table) string { return checkAtMost(v, args, maxTTL, "value_too_large") }

func checkAtMost(v any, args wire.Table, most int64, reason string) string {
	if wrong := checkNatural(v, args); wrong != "" {
		return wrong
	}
	if n, _ := integer(v); n > most {
		return fmt.Sprintf("{%s,%d}", reason, n)
	}
	return ""
}

func checkExpires(v any, args wire.Table) string {
	if n, ok := integer(v); ok && n == 0 {
		return "{value_zero,0}"
	}
	return checkTTL(v, args)
}

func checkMaxPriority(v any, args wire.Table) string {
	return checkAtMost(v, args, 255, "max_value_exceeded")
}

func checkQueueVersion(v any, args wire.Table) string {
	if reason := checkNatural(v, args); reason != "" {
		return reason
	}
	if n, _ := integer(v); n != 2 {
		return fmt.Sprintf(`"unsupported queue version '%d'"`, n)
	}
	return ""
}

func checkBool(v any, _ wire.Table) string {
	if _, ok := v.(bool); !ok {
		return "{unacceptable_type," + typeName(v) + "}"
	}
	return ""
}

func checkString(v any, _ wire.Table) string {
	if _, ok := v.(string); !ok {
		return "{unacceptable_type," + typeName(v) + "}"
	}
	return ""
}

func checkDeadLetterKey(v any, args wire.Table) string {
	if reason := checkString(v, args); reason != "" {
		return reason
	}
	if _, ok := args[argDeadLetter]; !ok {
		return "routing_key_but_no_dlx_defined"
	}
	return ""
}

func checkOneOf(reason string, known ...string) argumentCheck {
	return func(v any, args wire.Table) string {
		s, ok := v.(string)
		switch {
		case !ok:
			return "{unacceptable_type," + typeName(v) + "}"
		case !slices.Contains(known, s):
			return reason
		}
		return ""
	}
}

func checkMaxAge(v any, args wire.Table) string {
	if reason := checkString(v, args); reason != "" {
		return reason
	}
	if _, ok := parseMaxAge(v.(string)); !ok {
		return "invalid_max_age"
	}
	return ""
}

// parseMaxAge returns the seconds of a number with one of the units Y, M, D, h, m and s.
func parseMaxAge(s string) (seconds int64, ok bool) {
	if s == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s[:len(s)-1], 10, 64)
	unit := strings.IndexByte("smhDMY", s[len(s)-1])
	if err != nil || n <= 0 || unit < 0 {
		return 0, false
	}
	const day = 24 * 3600
	return n * []int64{1, 60, 3600, day, 30 * day, 365 * day}[unit], true
}

// checkStreamOffset accepts first, last, next, a number, a time, and an interval such as 1h.
func checkStreamOffset(v any, _ wire.Table) string {
	if _, ok := parseOffset(v); !ok {
		return "{invalid_stream_offset_arg,{" + typeName(v) + "," + term(v) + "}}"
	}
	return ""
}
