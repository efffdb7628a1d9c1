package core

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/warren-mq/warren/core/wire"
)

// maxExpiration is ten years in milliseconds.
const maxExpiration = 315_360_000_000

// directReplies is the queue that stands for the replies to a channel's own requests.
const directReplies = "amq.rabbitmq.reply-to"

// Validate reports, as a [*ValidationError], what can be known to be wrong with the
// message without a connection: what cannot be encoded, and what RabbitMQ closes the
// channel, or the connection, over. Publishing checks the same, and what
// depends on the channel and the broker. What is left is said by the broker: an exchange that
// does not exist, and a user id that is not the connection's user, which some may set.
func (p *Publishing) Validate() error {
	err := errors.Join(
		wire.ValidateShortstr("exchange", p.Exchange),
		wire.ValidateShortstr("routing key", p.RoutingKey),
		p.Properties.Validate(),
		p.unacceptable(),
	)
	if err == nil && len(p.Body) > MaxBody {
		err = fmt.Errorf("body of %d bytes, the limit is %d", len(p.Body), MaxBody)
	}
	return invalidPublish(err)
}

func invalidPublish(err error) error {
	if err == nil {
		return nil
	}
	return &ValidationError{Method: wire.MethodBasicPublish.String(), Err: err}
}

// unacceptable returns what every RabbitMQ refuses by closing the channel or the connection.
func (p *Publishing) unacceptable() error {
	if text := p.Properties.Expiration; text != "" {
		if ms, err := strconv.ParseInt(text, 10, 64); err != nil || ms < 0 || ms > maxExpiration {
			return fmt.Errorf("expiration %q: must be a whole number of milliseconds in digits, 0 to %d, for example \"60000\" for a minute", text, int64(maxExpiration))
		}
	}
	if len(p.Properties.Headers) == 0 {
		return nil
	}
	for _, key := range []string{"CC", "BCC"} {
		if v, ok := p.Properties.Headers[key]; ok && !isArray(v) {
			return fmt.Errorf("header %s is a %T: must be a list of routing keys, for example []string{\"a\"}", key, v)
		}
	}
	if v, ok := p.Properties.Headers[streamFilter]; ok {
		text, ok := v.(string)
		if !ok {
			return fmt.Errorf("header %s is a %T: must be a string, since RabbitMQ closes the connection over another one that reaches a stream", streamFilter, v)
		}
		if !utf8.ValidString(text) {
			return fmt.Errorf("header %s %q is not UTF-8: RabbitMQ closes the connection over it when it reaches a stream", streamFilter, text)
		}
	}
	for key, v := range p.Properties.Headers {
		if !isFinite(v) {
			return fmt.Errorf("header %q holds a number that is not finite: RabbitMQ closes the connection over it", key)
		}
	}
	return nil
}

// isFinite reports whether no number in v is an infinity or no number, which Erlang cannot read.
func isFinite(v any) bool {
	switch v := v.(type) {
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	case float32:
		return isFinite(float64(v))
	case Table:
		for _, e := range v {
			if !isFinite(e) {
				return false
			}
		}
	case map[string]any:
		return isFinite(Table(v))
	case []Table:
		return !slices.ContainsFunc(v, func(e Table) bool { return !isFinite(e) })
	case []map[string]any:
		return !slices.ContainsFunc(v, func(e map[string]any) bool { return !isFinite(e) })
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !isFinite(e) })
	case []float64:
		return !slices.ContainsFunc(v, func(e float64) bool { return !isFinite(e) })
	case []float32:
		return !slices.ContainsFunc(v, func(e float32) bool { return !isFinite(float64(e)) })
	}
	return true
}

// streamFilter is the header by which consumers of a stream choose messages.
const streamFilter = "x-stream-filter-value"

// isArray reports whether v is an array in a field table. Octets are not.
func isArray(v any) bool {
	if _, octets := v.([]byte); octets || v == nil {
		return false
	}
	return reflect.TypeOf(v).Kind() == reflect.Slice
}

// unacceptableHere returns what this broker refuses by closing the channel or the connection.
func (ch *Channel) unacceptableHere(p *Publishing) error {
	if !p.Immediate && p.Properties.DeliveryMode <= persistent && p.Properties.ReplyTo != directReplies {
		return nil
	}
	release, _ := ch.conn.server.Release() // 0: something else
	switch {
	case p.Immediate && release > 0:
		return errors.New("RabbitMQ closes the connection over Immediate (540): leave it out")
	case p.Properties.DeliveryMode > persistent && release > 0 && release < 4:
		return fmt.Errorf("delivery mode %d: RabbitMQ before 4.0 takes 1 (transient) and 2 (persistent) only", p.Properties.DeliveryMode)
	case p.Properties.ReplyTo == directReplies && !ch.replies.Load():
		return fmt.Errorf("reply-to %s: consume that queue first, with NoAck, on the channel that publishes the request", directReplies)
	}
	return nil
}

// persistent is the highest delivery mode that means something.
const persistent = 2
