package ledger

import (
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// slowConsumer is a connection with a delivery and its ack every two seconds: too slow to show that the broker is
// steadily at work.
type slowConsumer struct {
	t         *testing.T
	ledger    *Ledger
	conn      *Conn
	now       time.Duration
	delivered uint64
}

func newSlowConsumer(t *testing.T, prefetch uint16) *slowConsumer {
	s := &slowConsumer{t: t, ledger: New(1)}
	s.ledger.clock = func() time.Duration { return s.now }
	publisher := s.ledger.Conn()
	tap(t, publisher, toBroker, 1, &wire.ChannelOpen{}, nil, nil)
	application := s.ledger.Publisher()
	for m := range uint64(6) {
		application.invoke(scriptID(m+1), 0)
		tap(t, publisher, toBroker, 1, &wire.BasicPublish{}, scriptID(m+1).AppendBody(nil, 0), nil)
	}
	s.reconnect(prefetch)
	return s
}

// reconnect registers the consumer on another connection.
func (s *slowConsumer) reconnect(prefetch uint16) {
	s.conn, s.delivered = s.ledger.Conn(), 0
	tap(s.t, s.conn, toBroker, 1, &wire.ChannelOpen{}, nil, nil)
	tap(s.t, s.conn, toBroker, 1, &wire.BasicQos{PrefetchCount: prefetch}, nil, nil)
	tap(s.t, s.conn, toBroker, 1, &wire.BasicConsume{Queue: "q", ConsumerTag: "c"}, nil, nil)
	tap(s.t, s.conn, toClient, 1, &wire.BasicConsumeOk{ConsumerTag: "c"}, nil, nil)
}

// take has a message delivered and acknowledged, two seconds after what came before.
func (s *slowConsumer) take(m uint64, redelivered bool) {
	s.now += 2 * time.Second
	s.delivered++
	tap(s.t, s.conn, toClient, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: s.delivered, Redelivered: redelivered},
		scriptID(m).AppendBody(nil, 0), nil)
	tap(s.t, s.conn, toBroker, 1, &wire.BasicAck{DeliveryTag: s.delivered}, nil, nil)
}

// TestASlowBrokerHasReadWhatItShows has a slow connection end, long after its last frame, and a message that was
// acknowledged there come again: the broker is to blame if it had shown that it knew of the ack.
func TestASlowBrokerHasReadWhatItShows(t *testing.T) {
	cancel := func(s *slowConsumer) { tap(s.t, s.conn, toBroker, 1, &wire.BasicCancel{ConsumerTag: "c"}, nil, nil) }
	answer := func(s *slowConsumer) { tap(s.t, s.conn, toClient, 1, &wire.BasicCancelOk{ConsumerTag: "c"}, nil, nil) }
	for _, tt := range []struct {
		name     string
		prefetch uint16
		before   func(*slowConsumer) // the end
		again    uint64              // which message
		broken   int
	}{
		{"by a delivery that had room only then", 1, nil, 2, 1},
		{"by deliveries in hand", 2, nil, 1, 1},
		{"not by one that would have had room", 20, nil, 1, 0},
		{"not without a limit", 0, nil, 1, 0},
		{"not of the last ack", 1, nil, 5, 0},
		{"by an answer", 20, func(s *slowConsumer) { s.now += 2 * time.Second; cancel(s); answer(s) }, 5, 1},
		{"not by a question", 20, func(s *slowConsumer) { s.now += 2 * time.Second; cancel(s) }, 5, 0},
		{"not by an answer to what was asked before the ack", 20, func(s *slowConsumer) { cancel(s); s.take(6, false); answer(s) }, 5, 0},
		{"by an answer behind a request without one", 20, func(s *slowConsumer) {
			tap(s.t, s.conn, toBroker, 1, &wire.ConfirmSelect{NoWait: true}, nil, nil)
			s.now += 2 * time.Second
			cancel(s)
			answer(s)
		}, 5, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSlowConsumer(t, tt.prefetch)
			for m := range uint64(5) {
				s.take(m+1, false)
			}
			if tt.before != nil {
				tt.before(s)
			}
			s.now += time.Minute
			s.conn.Close()
			s.reconnect(tt.prefetch)
			s.take(tt.again, true)
			report, err := s.ledger.Check(Rules{}, Facts{})
			if err != nil || report.Counts["S15"] != tt.broken {
				t.Errorf("%d broken, want %d, %v\n%s", report.Counts["S15"], tt.broken, err, report)
			}
		})
	}
}
