package topology

import (
	"context"
	"fmt"

	"github.com/warren-mq/warren/core"
)

// Unreachable returns a warning for each dead-letter exchange, alternate exchange, and queue to which the
// default exchange is to dead-letter, that is neither in t nor on the broker of conn: RabbitMQ
// takes such an argument, and then drops what is to go there. It looks with passive declarations, none if t is
// whole by itself. What policies say is not seen. The errors are those of [Replay].
func (t Topology) Unreachable(ctx context.Context, conn *core.Conn) ([]*Problem, error) {
	targets := t.outside()
	if len(targets) == 0 {
		return nil, nil
	}
	steps := make([]Step, len(targets))
	for i, target := range targets {
		steps[i] = Step{Method: target.look()}
	}
	missing, err := look(ctx, conn, steps, 0)
	if err != nil {
		return nil, err
	}
	var problems []*Problem
	for i, target := range targets {
		if Gone(missing[steps[i].Method]) {
			problems = append(problems, target.problem)
		}
	}
	return problems, nil
}

// unreachableIn is [Topology.Unreachable] for what an inventory shows.
func (t Topology) unreachableIn(have Topology) []*Problem {
	there := have.named()
	var problems []*Problem
	for _, target := range t.outside() {
		if !there[target.vertexKey] {
			problems = append(problems, target.problem)
		}
	}
	return problems
}

// target is where something is to be sent that t does not declare.
type target struct {
	vertexKey
	problem *Problem // if it is not there
}

func (t target) look() core.Method {
	if t.queue {
		return &core.QueueDeclare{Queue: t.name, Passive: true}
	}
	return &core.ExchangeDeclare{Exchange: t.name, Type: Direct, Passive: true}
}

// outside returns the targets that are not in t.
func (t Topology) outside() []target {
	own := t.named()
	var targets []target
	add := func(entity fmt.Stringer, key, name string, queue bool) {
		k := vertexKey{name: name, queue: queue}
		if own[k] || !queue && isPredeclared(name) {
			return
		}
		kind := "an exchange"
		if queue {
			kind = "a queue"
		}
		targets = append(targets, target{k, &Problem{entity, key, fmt.Errorf(
			"names %s that does not exist, %q: what goes there is dropped", kind, name)}})
	}
	for _, e := range t.Exchanges {
		if name, ok := e.Args["alternate-exchange"].(string); ok && name != "" {
			add(e, "alternate-exchange", name, false)
		}
	}
	for _, q := range t.Queues {
		exchange, ok := q.Args["x-dead-letter-exchange"].(string)
		switch key, keyed := q.Args["x-dead-letter-routing-key"].(string); {
		case ok && exchange != "":
			add(q, "x-dead-letter-exchange", exchange, false)
		case ok && keyed: // the default exchange routes by the queue's name
			add(q, "x-dead-letter-routing-key", key, true)
		}
	}
	return targets
}

// named returns the exchanges and queues of t.
func (t Topology) named() map[vertexKey]bool {
	n := map[vertexKey]bool{}
	for _, e := range t.Exchanges {
		n[vertexKey{name: e.Name}] = true
	}
	for _, q := range t.Queues {
		n[vertexKey{name: q.Name, queue: true}] = true
	}
	return n
}
