package channel

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
)

var streamArguments = core.Table{"x-queue-type": "stream"}

// others declares s as a stream that the client knows nothing of.
func (b *bed) others(t *testing.T) {
	t.Helper()
	s, err := b.conn.Session(t.Context())
	must(t, err)
	raw, err := s.Conn.Channel(t.Context())
	must(t, err)
	_, err = raw.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "s", Durable: true, Arguments: streamArguments})
	must(t, err)
	must(t, raw.Close(t.Context()))
}

// publishNumbers publishes first to last, on a channel of its own.
func (b *bed) publishNumbers(t *testing.T, first, last int) {
	t.Helper()
	ch := b.channel(t)
	must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
	for i := first; i <= last; i++ {
		send(t, ch, "s", fmt.Sprint(i))
	}
	must(t, ch.Close(t.Context()))
}

// receivedNow receives what comes within a second, and acks what settle says.
func receivedNow(t *testing.T, c *Consumer, settle func(body string) bool) (bodies []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for {
		d, err := c.Receive(ctx)
		if err != nil {
			return bodies
		}
		bodies = append(bodies, string(d.Body))
		if settle(bodies[len(bodies)-1]) {
			must(t, d.Ack())
		}
	}
}

func all(string) bool { return true }

func numbers(first, last int) (list []string) {
	for i := first; i <= last; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

func TestAConsumerOfAStreamGoesOnBehindWhatWasSettled(t *testing.T) {
	for name, test := range map[string]struct {
		declared bool // by the client
		from     any
		first    int // message that comes first
	}{
		"from the first":            {true, "first", 1},
		"from an offset":            {true, int64(4), 5},
		"from the next":             {true, "next", 11},
		"from nowhere named":        {true, nil, 11},
		"of others, from the first": {false, "first", 1},
		"of others, from nowhere":   {false, nil, 11},
	} {
		for how, lose := range map[string]func(t *testing.T, b *bed, ch *Channel){
			"connection": func(t *testing.T, b *bed, ch *Channel) { b.cut(t) },
			"channel": func(t *testing.T, b *bed, ch *Channel) {
				_, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "none", Passive: true})
				if err == nil {
					t.Error("the channel was not closed")
				}
			},
		} {
			t.Run(name+", a lost "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBed(t, session.Config{})
					ch := b.channel(t)
					if test.declared {
						declare(t, ch, core.QueueDeclare{Queue: "s", Durable: true, Arguments: streamArguments})
					} else {
						b.others(t)
					}
					b.publishNumbers(t, 1, 10)
					must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 30}))
					args := core.Table{}
					if test.from != nil {
						args["x-stream-offset"] = test.from
					}
					c, err := ch.Consume(t.Context(), core.BasicConsume{Queue: "s", Arguments: args})
					must(t, err)
					b.publishNumbers(t, 11, 20)
					got := receivedNow(t, c, func(body string) bool { return body != "18" })
					if want := numbers(test.first, 20); !slices.Equal(got, want) {
						t.Fatalf("received %v; want %v", got, want)
					}
					lose(t, b, ch)
					b.ready(t)
					b.publishNumbers(t, 21, 22)
					if got, want := receivedNow(t, c, all), numbers(18, 22); !slices.Equal(got, want) {
						t.Errorf("received %v after the loss; want %v", got, want)
					}
					lose(t, b, ch)
					b.ready(t)
					b.publishNumbers(t, 23, 24)
					if got, want := receivedNow(t, c, all), numbers(23, 24); !slices.Equal(got, want) {
						t.Errorf("received %v after the second loss; want %v", got, want)
					}
				})
			})
		}
	}
}

func TestAConsumerOfAStreamThatReceivedNothingMissesNothing(t *testing.T) {
	for name, args := range map[string]core.Table{"next": {"x-stream-offset": "next"}, "not named": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, session.Config{})
				ch := b.channel(t)
				declare(t, ch, core.QueueDeclare{Queue: "s", Durable: true, Arguments: streamArguments})
				must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 10}))
				c, err := ch.Consume(t.Context(), core.BasicConsume{Queue: "s", Arguments: args})
				must(t, err)
				time.Sleep(time.Minute)
				publish := b.channel(t)
				must(t, publish.Confirm(t.Context(), core.ConfirmSelect{}))
				send(t, publish, "s", "1") // it is on its way when the connection is lost
				b.cut(t)
				b.ready(t)
				if got := receivedNow(t, c, all); !slices.Equal(got, numbers(1, 1)) {
					t.Errorf("received %v", got)
				}
			})
		})
	}
}

func TestAConsumerOfAStreamThatWasReplacedBeginsAtItsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		declare(t, ch, core.QueueDeclare{Queue: "s", Durable: true, Arguments: streamArguments})
		b.publishNumbers(t, 1, 10)
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 10}))
		c, err := ch.Consume(t.Context(), core.BasicConsume{Queue: "s", Arguments: core.Table{"x-stream-offset": "first"}})
		must(t, err)
		receivedNow(t, c, all)
		b.Stop()
		b.DeleteQueue("s")
		b.Start()
		b.ready(t)
		b.publishNumbers(t, 1, 3)
		if got := receivedNow(t, c, all); !slices.Equal(got, numbers(1, 3)) {
			t.Errorf("received %v", got)
		}
	})
}

// A message that was moved here from a stream carries an offset that says nothing.
func TestAnOffsetInAnotherQueueMeansNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		foreign(t, b, "q")
		must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 10}))
		c := consume(t, ch, "q", "tag")
		moved := func(body string) {
			must(t, ch.Publish(t.Context(), &core.Publishing{RoutingKey: "q", Body: []byte(body),
				Properties: core.Properties{Headers: core.Table{"x-stream-offset": int64(7)}}}))
		}
		moved("1")
		send(t, ch, "q", "2")
		if got := receivedNow(t, c, all); !slices.Equal(got, numbers(1, 2)) {
			t.Fatalf("received %v", got)
		}
		b.cut(t)
		b.ready(t)
		moved("3")
		if got := receivedNow(t, c, all); !slices.Equal(got, numbers(3, 3)) {
			t.Errorf("received %v", got)
		}
	})
}

func TestArgumentsThatPlaceAConsumerCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		ch := b.channel(t)
		declare(t, ch, core.QueueDeclare{Queue: "s", Durable: true, Arguments: streamArguments})
		b.publishNumbers(t, 1, 10)
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 10}))
		c, err := ch.Consume(t.Context(), core.BasicConsume{Queue: "s", Arguments: core.Table{"x-stream-offset": "first"}})
		must(t, err)
		receivedNow(t, c, all)
		must(t, c.SetArguments(core.Table{"x-stream-offset": int64(3)}))
		b.cut(t)
		b.ready(t)
		if got := receivedNow(t, c, all); !slices.Equal(got, numbers(4, 10)) {
			t.Errorf("received %v", got)
		}
	})
}
