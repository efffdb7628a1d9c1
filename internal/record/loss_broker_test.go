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

// TestLostIsWhatABrokerLoses declares random topologies, loses a channel, a
// connection or the broker, and compares what is missing there with what
// [record.Recorder.Lost] says.
func TestLostIsWhatABrokerLoses(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			l := newLoser(t, seed)
			l.declare()
			l.consume()
			for _, scope := range []record.Scope{record.LostChannel, record.LostConnection, record.LostBroker} {
				if l.rand.IntN(2) > 0 && scope < record.LostBroker {
					continue
				}
				l.lose(scope)
				break
			}
		})
	}
}

// loser plays against a broker with two logical connections.
type loser struct {
	t      *testing.T
	seed   uint64
	rand   *rand.Rand
	broker *brokertest.Broker
	r      *record.Recorder
	conns  map[string]*core.Conn
	theirs map[string]bool // exclusive queues of the other connection
	chans  []*core.Channel // of main, with consumers

	consumers []map[string]int // by channel and queue
}

func newLoser(t *testing.T, seed uint64) *loser {
	l := &loser{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 2)), broker: brokertest.New(t), r: record.NewRecorder(),
		conns: map[string]*core.Conn{}, theirs: map[string]bool{}}
	l.dial("main")
	l.dial("other")
	return l
}

func (l *loser) dial(name string) {
	conn, err := core.Dial(l.t.Context(), core.Config{DialContext: l.broker.DialContext})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	l.conns[name] = conn
}

func (l *loser) coin() bool { return l.rand.IntN(2) == 0 }

func (l *loser) name(kind string) string { return fmt.Sprintf("%s%d", kind, l.rand.IntN(5)) }

// do declares one entity, and records it if the broker takes it.
func (l *loser) do(connection string, m core.Method, note func(name string) error) {
	results, err := record.Replay(l.t.Context(), l.conns[connection], []record.Step{{Method: m}})
	if err != nil {
		l.t.Fatalf("seed %d: %v", l.seed, err)
	}
	if results[0].Err != nil {
		return // exists otherwise, or nowhere to bind
	}
	if err := note(results[0].Declared()); err != nil {
		l.t.Fatal(err)
	}
}

func (l *loser) declare() {
	for range 5 {
		e := topology.Exchange{Name: l.name("x"), Transient: l.coin(), AutoDelete: l.coin()}
		l.do("main", e.Declare(), func(string) error { return l.r.Exchange(e) })
	}
	for range 7 {
		q := topology.Queue{Name: l.name("q"), AutoDelete: l.coin(), Exclusive: l.coin()}
		q.Transient = q.Exclusive && l.coin()
		if l.rand.IntN(4) == 0 {
			q.Name = ""
		}
		connection := "main"
		if l.rand.IntN(4) == 0 {
			connection = "other"
		}
		l.do(connection, q.Declare(), func(name string) error {
			l.theirs[name] = q.Exclusive && connection == "other"
			return l.r.QueueOf(connection, q, name)
		})
	}
	queues := l.r.Snapshot().Queues
	for range 12 {
		b := topology.Binding{Source: l.name("x"), Destination: l.name("x"), ToExchange: true, RoutingKey: l.name("k")}
		if len(queues) > 0 && l.rand.IntN(3) > 0 {
			b.ToExchange, b.Destination = false, queues[l.rand.IntN(len(queues))].Name
		}
		l.do("main", b.Bind(), func(string) error { return l.r.Binding(b) })
	}
}

// consume starts consumers on two channels of the main connection.
func (l *loser) consume() {
	queues := slices.DeleteFunc(l.r.Snapshot().Queues, func(q topology.Queue) bool { return l.theirs[q.Name] })
	for range 2 {
		ch, err := l.conns["main"].Channel(l.t.Context())
		if err != nil {
			l.t.Fatal(err)
		}
		started := map[string]int{}
		for range l.rand.IntN(4) {
			if len(queues) == 0 {
				break
			}
			name := queues[l.rand.IntN(len(queues))].Name
			if _, err := ch.Consume(l.t.Context(), core.BasicConsume{Queue: name}); err != nil {
				l.t.Fatalf("seed %d: %v", l.seed, err)
			}
			started[name]++
			l.r.ConsumerAdded(name)
		}
		l.chans, l.consumers = append(l.chans, ch), append(l.consumers, started)
	}
}

func (l *loser) lose(scope record.Scope) {
	synctest.Wait()
	if missing := l.missing(); len(missing) > 0 {
		l.t.Fatalf("seed %d: missing before anything was lost: %q", l.seed, missing)
	}
	loss := record.Loss{Scope: scope, Connection: "main"}
	switch scope {
	case record.LostChannel:
		loss.Consumers = l.consumers[0]
		if err := l.chans[0].Close(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
	case record.LostConnection:
		if err := l.conns["main"].Close(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
	default:
		l.broker.Restart()
	}
	synctest.Wait()
	said := planned(l.r.Lost(loss))
	if scope == record.LostBroker { // the other connection, too
		said = append(said, planned(l.r.Lost(record.Loss{Scope: scope, Connection: "other"}))...)
	}
	slices.Sort(said)
	said = slices.Compact(said)
	if missing := l.missing(); !slices.Equal(said, missing) {
		l.t.Errorf("seed %d, scope %d, consumers %v:\nrecorded %q\nlost    %q\nmissing %q", l.seed, scope, l.consumers, names(l.r.Snapshot()), said, missing)
	}
	l.recover(loss)
}

// recover declares on new connections what was lost, and looks whether the
// broker then has what is recorded, each once.
func (l *loser) recover(loss record.Loss) {
	connections := []string{"main"}
	if loss.Scope == record.LostBroker {
		connections = append(connections, "other")
	}
	for _, name := range connections {
		if loss.Connection = name; loss.Scope > record.LostChannel {
			l.dial(name)
		}
		plan := l.r.Lost(loss)
		if l.coin() {
			var err error
			if plan, err = l.r.Survey(l.t.Context(), l.conns[name], loss); err != nil {
				l.t.Fatal(err)
			}
		}
		for _, phase := range plan {
			results, err := record.Replay(l.t.Context(), l.conns[name], phase.Steps)
			if err != nil {
				l.t.Fatal(err)
			}
			for _, r := range results {
				// What belongs to the other connection comes back with it, or is there already.
				if r.Err != nil && loss.Scope < record.LostBroker {
					l.t.Errorf("seed %d: %s: %v", l.seed, r.Entity, r.Err)
				}
				if now := r.Declared(); r.Err == nil && now != r.Name {
					l.r.Renamed(r.Name, now)
				}
			}
		}
	}
	if missing := l.missing(); len(missing) > 0 {
		l.t.Errorf("seed %d, scope %d: not back: %q", l.seed, loss.Scope, missing)
	}
	queues := l.r.Snapshot().Queues
	if have := l.broker.Queues(); len(have) != len(queues) {
		l.t.Errorf("seed %d, scope %d: %d queues for %d recorded", l.seed, loss.Scope, len(have), len(queues))
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
