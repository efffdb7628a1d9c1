package compare

import (
	"context"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// end is an exchange or a queue as bindings and arguments name it.
type end struct {
	name  string
	queue bool
}

// ends returns the exchanges and queues of t, in order and as a set.
func ends(t topology.Topology) ([]end, map[end]bool) {
	var list []end
	for _, e := range t.Exchanges {
		list = append(list, end{name: e.Name})
	}
	for _, q := range t.Queues {
		list = append(list, end{name: q.Name, queue: true})
	}
	set := map[end]bool{}
	for _, e := range list {
		set[e] = true
	}
	return list, set
}

func (e end) look() record.Step {
	if e.queue {
		return record.LookForQueue(e.name)
	}
	return record.LookForExchange(e.name)
}

// missing returns those that the broker of conn says it does not have, with its words.
func missing(ctx context.Context, conn *core.Conn, ends []end) (map[end]error, error) {
	steps := make([]record.Step, len(ends))
	for i, e := range ends {
		steps[i] = e.look()
	}
	refusals, err := record.Missing(ctx, conn, steps, 0)
	absent := map[end]error{}
	for i, s := range steps {
		if refusal := refusals[s.Method]; refusal != nil {
			absent[ends[i]] = refusal
		}
	}
	return absent, interrupted(err)
}
