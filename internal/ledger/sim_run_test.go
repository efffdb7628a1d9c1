package ledger

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// simRules are those of every simulated run.
func simRules(s *sim) Rules {
	return Rules{
		Queues: []string{"orders", "audit"}, Ordered: []string{"orders", "audit"}, Replay: true, Patient: true,
		Prefetch:   map[string]int{"orders": s.client.prefetch, "audit": s.client.prefetch},
		Consumers:  map[string]int{"orders": 1, "audit": 1},
		MaxPending: s.client.window, MaxDials: 20, Recovery: time.Second, Deadline: 10 * time.Second,
		MinConfirmed: 1, MinConsumed: 1, MinUnresolved: 1, MinRedelivered: 1,
		Grace: 20 * ms, Residence: time.Second,
	}
}

// simulate runs a client with a mistake, and returns what the checker says.
func simulate(seed uint64, mistake string) *Report {
	s := newSim(seed, mistake)
	s.run(20 * time.Second)
	return s.check()
}

// check is at the end of the run.
func (s *sim) check() *Report {
	report, err := s.ledger.Check(simRules(s), s.facts())
	if err != nil {
		panic(err)
	}
	return report
}

func newSim(seed uint64, mistake string) *sim {
	s := &sim{Rand: rand.New(rand.NewPCG(seed, 1)), ledger: New(seed)}
	s.ledger.clock = func() time.Duration { return s.now }
	s.broker = &simBroker{sim: s, queues: []*simQueue{{name: "orders", bound: true}, {name: "audit", bound: true}}}
	s.client = newSimClient(s, mistake)
	s.client.connect()
	s.client.publisher.connect()
	s.produce()
	s.planFaults()
	s.after(10*time.Second, s.loseNothing)
	return s
}

func newSimClient(s *sim, mistake string) *simClient {
	c := &simClient{sim: s, ledger: s.ledger, mistake: mistake, window: 1 + s.IntN(60), prefetch: 1 + s.IntN(30)}
	c.publisher = &simPublisher{client: c, ledger: s.ledger.Publisher(), toSend: 900 + s.IntN(400)}
	for i, q := range s.broker.queues {
		c.consumers = append(c.consumers, &simHandler{
			client: c, ledger: s.ledger.Consumer(q.name), queue: q.name, channel: uint16(i + 1), failures: map[ID]bool{}, succeeded: map[ID]bool{},
		})
	}
	return c
}

// loseNothing declares that queues may lose what is in them when they have been empty for long.
func (s *sim) loseNothing() {
	for _, q := range s.broker.queues {
		s.ledger.MayLose(q.name)()
	}
}

// produce has the application publish while it has something to.
func (s *sim) produce() {
	p := s.client.publisher
	p.produce(1 + s.IntN(8))
	p.flush()
	if p.toSend > 0 {
		s.after(s.upTo(3*ms), s.produce)
	}
}

// planFaults breaks things about ten times while messages flow, some of them surely.
func (s *sim) planFaults() {
	kinds := []string{"publisher cut off", "publisher cut off", "publisher cut off", "consumers cut off", "restart", "nacks", "cancel"}
	for range 4 + s.IntN(5) {
		kinds = append(kinds, kinds[s.IntN(len(kinds))])
	}
	s.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	at := 50 * ms
	for _, kind := range kinds {
		at += 25*ms + s.upTo(35*ms)
		s.after(at, func() { s.fault(kind) })
	}
}

// fault waits for a moment at which it has an effect.
func (s *sim) fault(kind string) {
	undo, worked := s.inject(kind)
	if !worked {
		s.after(ms, func() { s.fault(kind) })
		return
	}
	f := s.ledger.Fault(kind)
	f.Effect()
	s.after(20*ms, func() { undo(); f.End() })
}

func (s *sim) inject(kind string) (undo func(), worked bool) {
	undo = func() {}
	p := s.client.publisher
	switch kind {
	case "publisher cut off":
		if worked = p.conn != nil && slices.ContainsFunc(p.sent, func(m *simMessage) bool { return !m.settled }); worked {
			p.conn.cut()
		}
	case "consumers cut off":
		if worked = s.client.conn != nil; worked {
			s.client.conn.cut()
		}
	case "restart":
		worked = true
		s.broker.restart()
	case "nacks":
		worked = true
		s.broker.refuses = true
		undo = func() { s.broker.refuses = false }
	case "cancel":
		for _, q := range s.broker.queues {
			i := slices.IndexFunc(q.consumers, func(c *simConsumer) bool { return !c.zombie && c.outstanding > 0 })
			if i >= 0 {
				worked = true
				s.broker.cancel(q.consumers[i])
			}
		}
	}
	return undo, worked
}

// facts are what an operator would see of the broker at the end.
func (s *sim) facts() Facts {
	f := Facts{Drained: s.broker.left() == 0, Left: s.broker.left(), Declared: []string{}, Registered: []string{}}
	for _, q := range s.broker.queues {
		binding := fmt.Sprintf("binding of %s", q.name)
		f.Declared = append(f.Declared, binding)
		f.Registered = append(f.Registered, q.name)
		if q.bound {
			f.Actual = append(f.Actual, binding)
		}
		for _, c := range q.consumers {
			if !c.zombie {
				f.Active = append(f.Active, q.name)
			}
		}
	}
	return f
}
