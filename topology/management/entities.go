package management

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/warren-mq/warren/topology"
)

// The fields of the API's entities that matter here.

type exchange struct {
	Name       string    `json:"name"`
	Type       string    `json:"type"`
	Durable    bool      `json:"durable"`
	AutoDelete bool      `json:"auto_delete"`
	Internal   bool      `json:"internal"`
	Arguments  arguments `json:"arguments"`
}

func (e exchange) topology() topology.Exchange {
	return topology.Exchange{
		Name: e.Name, Type: e.Type, Transient: !e.Durable, AutoDelete: e.AutoDelete, Internal: e.Internal, Arguments: topology.Table(e.Arguments),
	}
}

type queue struct {
	Name       string    `json:"name"`
	Type       string    `json:"type"`
	Durable    bool      `json:"durable"`
	Exclusive  bool      `json:"exclusive"`
	AutoDelete bool      `json:"auto_delete"`
	Arguments  arguments `json:"arguments"`
}

func (q queue) topology() topology.Queue {
	args := topology.Table(q.Arguments)
	if kind, ok := args["x-queue-type"].(string); ok {
		q.Type = kind
		delete(args, "x-queue-type")
	}
	return topology.Queue{
		Name: q.Name, Type: q.Type, Transient: !q.Durable, Exclusive: q.Exclusive, AutoDelete: q.AutoDelete, Arguments: args,
	}
}

type binding struct {
	Source          string    `json:"source"`
	Destination     string    `json:"destination"`
	DestinationType string    `json:"destination_type"`
	RoutingKey      string    `json:"routing_key"`
	Arguments       arguments `json:"arguments"`
}

func (b binding) topology() topology.Binding {
	return topology.Binding{
		Source: b.Source, Destination: b.Destination, ToExchange: b.DestinationType == "exchange", RoutingKey: b.RoutingKey, Arguments: topology.Table(b.Arguments),
	}
}

// arguments are a table. Some releases write an empty one as a list.
type arguments topology.Table

// UnmarshalJSON implements [json.Unmarshaler].
func (a *arguments) UnmarshalJSON(data []byte) error {
	var raw any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&raw); err != nil {
		return err
	}
	if t, ok := value(raw).(topology.Table); ok && len(t) > 0 {
		*a = arguments(t)
	}
	return nil
}

// value turns what JSON has into what AMQP has. The API does not tell the width
// of a number; what it is told itself, it takes for an int64.
func value(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return string(v)
		}
		return f
	case map[string]any:
		t := topology.Table{}
		for k, item := range v {
			t[k] = value(item)
		}
		return t
	case []any:
		for i, item := range v {
			v[i] = value(item)
		}
		return v
	}
	return v
}
