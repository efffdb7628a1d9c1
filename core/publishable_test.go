package core

import (
	"math"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// What RabbitMQ closes the channel or the connection over, by the word that the error has to say; "" is accepted.
var publishables = []struct {
	name string
	p    Properties
	say  string
}{
	{"nothing", Properties{}, ""},
	{"no time", Properties{Expiration: "0"}, ""},
	{"a minute", Properties{Expiration: "60000"}, ""},
	{"a sign", Properties{Expiration: "+5"}, ""},
	{"minus nothing", Properties{Expiration: "-0"}, ""},
	{"leading zeros", Properties{Expiration: "007"}, ""},
	{"ten years", Properties{Expiration: "315360000000"}, ""},
	{"more", Properties{Expiration: "315360000001"}, `expiration "315360000001"`},
	{"more than 64 bits", Properties{Expiration: "99999999999999999999"}, "expiration"},
	{"a unit", Properties{Expiration: "60s"}, `expiration "60s": must be a whole number of milliseconds`},
	{"negative", Properties{Expiration: "-1"}, "expiration"},
	{"a fraction", Properties{Expiration: "60000.0"}, "expiration"},
	{"an exponent", Properties{Expiration: "1e3"}, "expiration"},
	{"hexadecimal", Properties{Expiration: "0x5"}, "expiration"},
	{"grouped", Properties{Expiration: "1_000"}, "expiration"},
	{"a space in front", Properties{Expiration: " 5000"}, "expiration"},
	{"a space behind", Properties{Expiration: "5000 "}, "expiration"},
	{"a line", Properties{Expiration: "5\n"}, "expiration"},
	{"other digits", Properties{Expiration: "٥"}, "expiration"},
	{"words", Properties{Expiration: "soon"}, "expiration"},
	{"other keys", Properties{Headers: Table{"CC": []any{"a", 1, nil}, "BCC": []string{"b"}}}, ""},
	{"no other keys", Properties{Headers: Table{"CC": []any{}, "cc": "a"}}, ""},
	{"one other key", Properties{Headers: Table{"CC": "a"}}, "header CC is a string"},
	{"octets", Properties{Headers: Table{"CC": []byte("a")}}, "header CC"},
	{"void", Properties{Headers: Table{"BCC": nil}}, "header BCC"},
	{"a number", Properties{Headers: Table{"BCC": 1}}, "header BCC"},
	{"a table", Properties{Headers: Table{"BCC": Table{}}}, "header BCC"},
	{"a filter", Properties{Headers: Table{"x-stream-filter-value": "eu"}}, ""},
	{"a filter that is a number", Properties{Headers: Table{"x-stream-filter-value": 1}}, "header x-stream-filter-value is a int"},
	{"a filter that is nothing", Properties{Headers: Table{"x-stream-filter-value": nil}}, "header x-stream-filter-value"},
	{"a filter that is no text", Properties{Headers: Table{"x-stream-filter-value": "a\xff"}}, "is not UTF-8"},
	{"other text that is none", Properties{ReplyTo: "a\xff", Headers: Table{"a": "a\xff"}}, ""}, // a stream of 4.3 alone minds the first
	{"numbers", Properties{Headers: Table{"a": 1.5, "b": float32(-2), "c": []any{math.MaxFloat64}, "d": Table{"e": 0.0}}}, ""},
	{"no number", Properties{Headers: Table{"a": math.NaN()}}, `header "a" holds a number that is not finite`},
	{"an infinity", Properties{Headers: Table{"a": float32(math.Inf(-1))}}, "not finite"},
	{"an infinity in a list", Properties{Headers: Table{"a": []any{1, math.Inf(1)}}}, "not finite"},
	{"an infinity among numbers", Properties{Headers: Table{"a": []float64{1, math.Inf(1)}}}, "not finite"},
	{"an infinity among small ones", Properties{Headers: Table{"a": []float32{float32(math.Inf(1))}}}, "not finite"},
	{"an infinity in a table", Properties{Headers: Table{"a": Table{"b": map[string]any{"c": math.Inf(1)}}}}, "not finite"},
	{"an infinity in tables", Properties{Headers: Table{"a": []Table{{"b": math.NaN()}}}}, "not finite"},
	{"an infinity in maps", Properties{Headers: Table{"a": []map[string]any{{"b": math.NaN()}}}}, "not finite"},
	{"a delivery mode without a meaning", Properties{DeliveryMode: 9}, ""},
	{"any priority", Properties{Priority: 255}, ""},
	{"a user", Properties{UserID: "somebody"}, ""},
	{"an answer", Properties{ReplyTo: "amq.rabbitmq.reply-to.x"}, ""},
	{"too long for its field", Properties{Type: strings.Repeat("x", 256)}, "type"},
}

// TestWhatRabbitMQClosesTheChannelOverIsNotSent: nothing is on the wire, and the channel lives.
func TestWhatRabbitMQClosesTheChannelOverIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		for _, tt := range publishables {
			m := &Publishing{RoutingKey: "q", Properties: tt.p}
			err := m.Validate()
			_, sent := ch.PublishConfirm(bg, m)
			if tt.say == "" {
				noErr(t, err)
				noErr(t, sent)
				p.content(1)
				continue
			}
			for _, err := range []error{err, sent} {
				if v := mustAs[*ValidationError](t, err); v.Method != "basic.publish" || !strings.Contains(err.Error(), tt.say) {
					t.Errorf("%s: %v; want it to say %s", tt.name, err, tt.say)
				}
			}
		}
		p.quiet()
		noErr(t, ch.Err())
	})
}

// What depends on the broker's version is refused there alone.
func TestWhatOneBrokerRefusesIsNotSentToIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server wire.Table
		m      Publishing
		sent   bool
	}{
		{"delivery mode 3 before 4.0", wire.Table{"product": "RabbitMQ", "version": "3.10.8"}, Publishing{Properties: Properties{DeliveryMode: 3}}, false},
		{"delivery mode 2 before 4.0", wire.Table{"product": "RabbitMQ", "version": "3.10.8"}, Publishing{Properties: Properties{DeliveryMode: 2}}, true},
		{"delivery mode 3", wire.Table{"product": "RabbitMQ", "version": "4.0.5"}, Publishing{Properties: Properties{DeliveryMode: 3}}, true},
		{"delivery mode 3 elsewhere", wire.Table{"product": "other", "version": "1.0"}, Publishing{Properties: Properties{DeliveryMode: 3}}, true},
		{"immediate", wire.Table{"product": "RabbitMQ", "version": "4.3.0"}, Publishing{Immediate: true}, false},
		{"immediate elsewhere", wire.Table{"product": "other"}, Publishing{Immediate: true}, true},
	} {
		bubble(t, func(t *testing.T) {
			ch, p := openChannel(t, Config{})
			ch.conn.server.Properties = tt.server
			err := ch.Publish(bg, &tt.m)
			if tt.sent {
				noErr(t, err)
				p.content(1)
				return
			}
			mustAs[*ValidationError](t, err)
			p.quiet()
		})
	}
}

// A request for direct replies is sent only where they are consumed: RabbitMQ closes another channel over it.
func TestRequestNeedsAConsumerOfReplies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		request := &Publishing{RoutingKey: "q", Properties: Properties{ReplyTo: "amq.rabbitmq.reply-to"}}
		if err := ch.Publish(bg, request); !strings.Contains(mustAs[*ValidationError](t, err).Error(), "consume that queue first") {
			t.Error(err)
		}
		p.consume(ch, BasicConsume{Queue: "amq.rabbitmq.reply-to", NoAck: true})
		noErr(t, ch.Publish(bg, request))
		p.content(1)
		p.quiet()
	})
}
