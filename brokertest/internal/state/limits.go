package state

import (
	"time"

	"github.com/warren-mq/warren/core/wire"
)

const (
	quorumPriorities      = 32 // since RabbitMQ 4.3
	quorumDefaultPriority = 4
	defaultDeliveryLimit  = 20 // since RabbitMQ 4.0
	defaultSegmentBytes   = 500_000_000
	// DefaultConsumerTimeout is how long a message may stay unacknowledged.
	DefaultConsumerTimeout = 30 * time.Minute
)

// limits is what the arguments of a queue set.
type limits struct {
	ttl, expires    time.Duration // negative: none
	maxLength       int64         // negative: none
	maxBytes        int64         // negative: none
	rejectPublish   bool
	rejectDLX       bool // what is rejected is dead-lettered too
	maxPriority     int
	singleActive    bool
	deadLetter      string
	deadLetterKey   string
	hasDeadLetter   bool
	hasKey          bool
	deliveryLimit   int           // negative: none
	consumerTimeout time.Duration // 0: the broker's
	retryType       string        // which messages that come back are delayed
	retryMin        time.Duration
	retryMax        time.Duration // 0: none
	maxAge          time.Duration // 0: none
	segmentBytes    int64         // of a stream
}

func (v *VHost) newLimits(args wire.Table, kind string) limits {
	l := limits{
		ttl: millis(args, argMessageTTL, -1), expires: millis(args, argExpires, -1),
		maxLength: number(args, argMaxLength, -1), maxBytes: number(args, argMaxLengthBytes, -1),
		segmentBytes:    number(args, argSegmentBytes, defaultSegmentBytes),
		maxPriority:     int(number(args, argMaxPriority, 0)),
		deliveryLimit:   -1,
		consumerTimeout: millis(args, argConsumerTimeout, 0),
	}
	l.retryType, _ = args[argRetryType].(string)
	l.retryMin, l.retryMax = millis(args, argRetryMin, 0), millis(args, argRetryMax, 0)
	overflow := args[argOverflow]
	l.rejectDLX = overflow == "reject-publish-dlx"
	if kind == kindQuorum {
		l.rejectDLX = false // it takes that for drop-head
	}
	l.rejectPublish = overflow == "reject-publish" || l.rejectDLX
	l.singleActive, _ = args[argSingleActive].(bool)
	l.deadLetter, l.hasDeadLetter = args[argDeadLetter].(string)
	l.deadLetterKey, l.hasKey = args[argDeadLetterKey].(string)
	if kind == kindQuorum {
		limit := int64(defaultDeliveryLimit)
		if v.Before40 {
			limit = -1
		}
		l.deliveryLimit = int(number(args, argDeliveryLimit, limit))
	}
	if age, ok := args[argMaxAge].(string); ok {
		seconds, _ := parseMaxAge(age)
		l.maxAge = time.Duration(seconds) * time.Second
	}
	return l
}

func number(args wire.Table, key string, absent int64) int64 {
	if n, ok := integer(args[key]); ok {
		return n
	}
	return absent
}

func millis(args wire.Table, key string, absent time.Duration) time.Duration {
	if n, ok := integer(args[key]); ok {
		return time.Duration(n) * time.Millisecond
	}
	return absent
}

// refuses reports whether a queue that refuses publishes refuses this one. A quorum queue takes the one that goes
// beyond a limit, and refuses those behind it.
func (q *Queue) refuses(m *Message) bool {
	if q.Kind == kindQuorum {
		return q.refusing
	}
	return q.beyond(int64(q.ready.len)+1, q.ready.bytes+int64(len(m.Body)))
}

// judgeLength has a quorum queue refuse publishes from when it goes beyond a limit, until it is down to four
// fifths of it.
func (q *Queue) judgeLength() {
	down := func(n, limit int64) bool { return limit < 0 || n <= int64(0.8*float64(limit)) }
	switch {
	case q.overLength():
		q.refusing = true
	case down(int64(q.ready.len), q.maxLength) && down(q.ready.bytes, q.maxBytes):
		q.refusing = false
	}
}

// overLength reports whether there are more messages than a limit says.
func (q *Queue) overLength() bool { return q.beyond(int64(q.ready.len), q.ready.bytes) }

// beyond reports whether so many messages, of so many octets, are more than a limit says.
func (q *Queue) beyond(messages, octets int64) bool {
	return q.maxLength >= 0 && messages > q.maxLength || q.maxBytes >= 0 && octets > q.maxBytes
}
