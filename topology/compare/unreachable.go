package compare

import (
	"context"
	"fmt"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/rabbitmq"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// Unreachable returns a warning for each dead-letter exchange, alternate exchange, and queue to which the
// default exchange is to dead-letter, that is neither in t nor on the broker of conn: RabbitMQ
// takes such an argument, and then drops what is to go there. It looks with passive declarations, none if t is
// whole by itself. What policies say is not seen. The error is an [*InterruptedError].
func Unreachable(ctx context.Context, conn *core.Conn, t topology.Topology) ([]*topology.Problem, error) {
	targets := outside(t)
	if len(targets) == 0 {
		return nil, nil
	}
	var to []end
	for _, target := range targets {
		to = append(to, target.end)
	}
	absent, err := missing(ctx, conn, to)
	if err != nil {
		return nil, err
	}
	var problems []*topology.Problem
	for _, target := range targets {
		if record.Gone(absent[target.end]) {
			problems = append(problems, target.problem)
		}
	}
	return problems, nil
}

// unreachableIn is [Unreachable] for what an inventory shows.
func unreachableIn(have, t topology.Topology) []*topology.Problem {
	_, there := ends(have)
	var problems []*topology.Problem
	for _, target := range outside(t) {
		if !there[target.end] {
			problems = append(problems, target.problem)
		}
	}
	return problems
}

// target is where something is to be sent that a topology does not declare.
type target struct {
	end
	problem *topology.Problem // if it is not there
}

// outside returns the targets that are not in t.
func outside(t topology.Topology) []target {
	_, own := ends(t)
	var targets []target
	add := func(entity topology.Entity, key string, to end) {
		_, _, predeclared := rabbitmq.Predeclared(to.name)
		if own[to] || predeclared && !to.queue {
			return
		}
		kind := "an exchange"
		if to.queue {
			kind = "a queue"
		}
		targets = append(targets, target{to, &topology.Problem{Entity: entity, Field: key, Err: fmt.Errorf(
			"names %s that does not exist, %q: what goes there is dropped", kind, to.name)}})
	}
	for _, e := range t.Exchanges {
		if name, ok := e.Arguments["alternate-exchange"].(string); ok && name != "" {
			add(e, "alternate-exchange", end{name: name})
		}
	}
	for _, q := range t.Queues {
		exchange, ok := q.Arguments["x-dead-letter-exchange"].(string)
		switch key, keyed := q.Arguments["x-dead-letter-routing-key"].(string); {
		case ok && exchange != "":
			add(q, "x-dead-letter-exchange", end{name: exchange})
		case ok && keyed: // the default exchange routes by the queue's name
			add(q, "x-dead-letter-routing-key", end{name: key, queue: true})
		}
	}
	return targets
}
