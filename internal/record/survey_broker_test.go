package record_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// TestASurveyPlansWhatABrokerLost declares random topologies, loses a channel, a
// connection or the broker, and compares what is missing there with what
// [record.Recorder.Survey] plans.
func TestASurveyPlansWhatABrokerLost(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			l := &loser{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 2)), broker: brokertest.New(t), r: record.NewRecorder()}
			l.dial()
			l.declare()
			l.consume()
			synctest.Wait()
			if missing := l.missing(); len(missing) > 0 {
				t.Fatalf("seed %d: missing before anything was lost: %q", seed, missing)
			}
			l.recover(l.lose())
		})
	}
}

// loser plays against a broker.
type loser struct {
	t      *testing.T
	seed   uint64
	rand   *rand.Rand
	broker *brokertest.Broker
	r      *record.Recorder
	conn   *core.Conn
	chans  []*core.Channel // with consumers
}

func (l *loser) dial() {
	conn, err := core.Dial(l.t.Context(), core.Config{DialContext: l.broker.DialContext})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	l.conn = conn
}

func (l *loser) coin() bool { return l.rand.IntN(2) == 0 }

func (l *loser) name(kind string) string { return fmt.Sprintf("%s%d", kind, l.rand.IntN(5)) }

// do declares one entity, and records it if the broker takes it.
func (l *loser) do(m core.Method, note func(name string) error) {
	results, err := record.Replay(l.t.Context(), l.conn, []record.Step{{Method: m}})
	if err != nil {
		l.t.Fatalf("seed %d: %v", l.seed, err)
	}
	if results[0].Err != nil {
		return // exists otherwise, or nowhere to bind
	}
	if err := note(results[0].QueueName()); err != nil {
		l.t.Fatal(err)
	}
}

func (l *loser) declare() {
	for range 5 {
		e := topology.Exchange{Name: l.name("x"), Transient: l.coin(), AutoDelete: l.coin()}
		l.do(e.Declare(), func(string) error { return l.r.Exchange(e) })
	}
	for range 7 {
		q := topology.Queue{Name: l.name("q"), AutoDelete: l.coin(), Exclusive: l.coin()}
		q.Transient = q.Exclusive && l.coin()
		if l.rand.IntN(4) == 0 {
			q.Name = ""
		}
		l.do(q.Declare(), func(name string) error { return l.r.Queue(q, name) })
	}
	queues := l.r.Snapshot().Queues
	for range 12 {
		b := topology.Binding{Source: l.name("x"), Destination: l.name("x"), ToExchange: true, RoutingKey: l.name("k")}
		if len(queues) > 0 && l.rand.IntN(3) > 0 {
			b.ToExchange, b.Destination = false, queues[l.rand.IntN(len(queues))].Name
		}
		l.do(b.Bind(), func(string) error { return l.r.Binding(b) })
	}
}

// consume starts consumers on two channels.
func (l *loser) consume() {
	queues := l.r.Snapshot().Queues
	for range 2 {
		ch, err := l.conn.Channel(l.t.Context())
		if err != nil {
			l.t.Fatal(err)
		}
		for range l.rand.IntN(4) {
			name := queues[l.rand.IntN(len(queues))].Name
			if _, err := ch.Consume(l.t.Context(), core.BasicConsume{Queue: name}); err != nil {
				l.t.Fatalf("seed %d: %v", l.seed, err)
			}
			l.r.ConsumerAdded(name)
		}
		l.chans = append(l.chans, ch)
	}
}

// lose loses something and returns what is known of it.
func (l *loser) lose() record.Loss {
	defer synctest.Wait()
	switch l.rand.IntN(3) {
	case 0:
		if err := l.chans[0].Close(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
		return record.LossNone
	case 1:
		if err := l.conn.Close(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
	default:
		l.broker.Restart()
	}
	l.dial()
	return record.LossConnection
}

// recover declares what was lost, and looks whether the broker then has what
// is recorded, each once.
func (l *loser) recover(loss record.Loss) {
	plan, err := l.r.Survey(l.t.Context(), l.conn, loss)
	if err != nil {
		l.t.Fatal(err)
	}
	said := planned(plan)
	slices.Sort(said)
	if missing := l.missing(); !slices.Equal(said, missing) {
		l.t.Errorf("seed %d, loss %d:\nrecorded %q\nplanned  %q\nmissing  %q", l.seed, loss, names(l.r.Snapshot()), said, missing)
	}
	for _, phase := range plan {
		results, err := record.Replay(l.t.Context(), l.conn, phase.Steps)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				l.t.Errorf("seed %d: %s: %v", l.seed, r.Entity, r.Err)
			}
			if now := r.QueueName(); r.Err == nil && now != r.Name {
				l.r.Renamed(r.Name, now)
			}
		}
	}
	if missing := l.missing(); len(missing) > 0 {
		l.t.Errorf("seed %d, loss %d: not back: %q", l.seed, loss, missing)
	}
	queues := l.r.Snapshot().Queues
	if have := l.broker.Queues(); len(have) != len(queues) {
		l.t.Errorf("seed %d, loss %d: %d queues for %d recorded", l.seed, loss, len(have), len(queues))
	}
}

// missing returns what is recorded and not on the broker, sorted.
func (l *loser) missing() []string {
	there := map[string]bool{}
	for _, e := range l.broker.Exchanges() {
		there["x "+e.Name] = true
	}
	for _, q := range l.broker.Queues() {
		there["q "+q.Name] = true
	}
	for _, b := range l.broker.Bindings() {
		arrow := "→"
		if b.ToExchange {
			arrow = "⇒"
		}
		there[b.Source+arrow+b.Destination+b.Key] = true
	}
	missing := slices.DeleteFunc(names(l.r.Snapshot()), func(s string) bool { return there[s] })
	slices.Sort(missing)
	return missing
}
