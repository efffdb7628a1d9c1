package compare

import (
	"context"
	"errors"
	"regexp"
	"strconv"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/rabbitmq"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// maxRounds bounds how often an entity is declared to find its differences.
const maxRounds = 64

// probe declares what exists, and declares what is refused again with the
// broker's own value, until nothing is refused any more.
func (c *Comparison) probe(ctx context.Context, conn *core.Conn) error {
	var open []int
	var steps []record.Step
	for i, change := range c.Changes {
		if _, binding := change.Entity.(topology.Binding); !binding && (change.Action == ActionAdopt || change.Action == ActionDiffers) {
			open, steps = append(open, i), append(steps, record.Declare(change.Entity))
		}
	}
	for round := 0; len(steps) > 0 && round < maxRounds; round++ {
		results, err := record.Replay(ctx, conn, steps)
		if err != nil {
			return interrupted(err)
		}
		var openStill []int
		var again []record.Step
		for i, r := range results {
			change := &c.Changes[open[i]]
			if r.Err == nil {
				change.Unseen = false
				continue
			}
			d, ok := change.refusal(r.Err)
			if !ok {
				continue
			}
			if m := substitute(steps[i].Method, d); m != nil {
				openStill, again = append(openStill, open[i]), append(again, record.Step{Entity: r.Entity, Method: m})
			}
		}
		open, steps = openStill, again
	}
	return nil
}

// refusal notes why the broker refused the entity. It returns the difference
// that it named, if that is new.
func (c *Change) refusal(err error) (inequivalent, bool) {
	d, ok := parseInequivalent(err)
	c.Err, c.Unseen = err, false
	switch {
	case ok:
		c.Action = ActionDiffers
	case errors.Is(err, core.ErrPreconditionFailed) || errors.Is(err, core.ErrResourceLocked):
		c.Action = ActionDiffers // exclusive, or another broker's words
	case c.Action != ActionDiffers:
		c.Action = ActionRefused
	}
	if !ok {
		return d, false
	}
	for _, known := range c.Differences {
		if known.Field == d.Field {
			return d, true // from an inventory: to be got over
		}
	}
	c.Differences = append(c.Differences, d.Difference)
	return d, true
}

// inequivalent is a difference as RabbitMQ words it.
type inequivalent struct {
	topology.Difference
	kind   string // the type of what it has, if it said so
	absent bool   // it has none
}

// RabbitMQ writes a value in one of three ways: none, 'v', or the value 'v' of type 't'.
var inequivalentText = regexp.MustCompile(`inequivalent arg '(.+?)' for (?:queue|exchange) '.*' in vhost '.*': ` +
	`received (?:(none)|the value '(.*)' of type '\w+'|'(.*)') but current is (?:(none)|the value '(.*)' of type '(\w+)'|'(.*)')$`)

func parseInequivalent(err error) (inequivalent, bool) {
	e := core.AsError(err)
	if !e.Says(core.ErrPreconditionFailed) {
		return inequivalent{}, false
	}
	m := inequivalentText.FindStringSubmatch(e.Text)
	if m == nil {
		return inequivalent{}, false
	}
	d := topology.Difference{Field: m[1], Want: m[2] + m[3] + m[4], Have: m[5] + m[6] + m[8]}
	if d.Field == "x-max-age" {
		d.Want, d.Have = ageText(d.Want), ageText(d.Have)
	}
	return inequivalent{d, m[7], m[5] != ""}, true
}

// substitute returns the declaration with what the broker has, nil if that
// cannot be done.
func substitute(m core.Method, d inequivalent) core.Method {
	yes := d.Have == "true"
	switch m := m.(type) {
	case *core.ExchangeDeclare:
		s := *m
		switch d.Field {
		case "type":
			s.Type = d.Have
		case "durable":
			s.Durable = yes
		case "auto_delete":
			s.AutoDelete = yes
		case "internal":
			s.Internal = yes
		default:
			s.Arguments = substituted(m.Arguments, d)
		}
		return &s
	case *core.QueueDeclare:
		s := *m
		switch d.Field {
		case "durable":
			s.Durable = yes
		case "auto_delete":
			s.AutoDelete = yes
		case "exclusive":
			s.Exclusive = yes
		default:
			s.Arguments = substituted(m.Arguments, d)
		}
		return &s
	}
	return nil
}

func substituted(args topology.Table, d inequivalent) topology.Table {
	c := args.Clone()
	if c == nil {
		c = topology.Table{}
	}
	if d.absent {
		delete(c, d.Field)
		return c
	}
	c[d.Field] = valueOf(d, args[d.Field])
	return c
}

// valueOf gives the broker's text a type: the type that it named, or the type that was sent.
func valueOf(d inequivalent, sent any) any {
	_, number := rabbitmq.Integer(sent)
	_, flag := sent.(bool)
	switch sent.(type) {
	case float32, float64:
		number = true
	}
	switch d.kind {
	case "byte", "short", "signedint", "long", "unsignedbyte", "unsignedshort", "unsignedint", "float", "double":
		number = true
	case "bool":
		flag = true
	}
	if number {
		if n, err := strconv.ParseInt(d.Have, 10, 64); err == nil {
			return n
		}
		if f, err := strconv.ParseFloat(d.Have, 64); err == nil {
			return f
		}
	}
	if flag {
		return d.Have == "true"
	}
	return d.Have
}

// ageText writes an age in the form of the argument where RabbitMQ 4.3 gives milliseconds.
func ageText(text string) string {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return text
	}
	return strconv.FormatInt(ms/1000, 10) + "s"
}
