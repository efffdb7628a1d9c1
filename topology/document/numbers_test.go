package document_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/document"
)

// whole are the edges of every width of whole numbers.
var whole = []any{
	int8(0), int8(math.MinInt8), int8(math.MaxInt8), int16(0), int16(math.MinInt16), int16(math.MaxInt16),
	int32(0), int32(math.MinInt32), int32(math.MaxInt32), int64(0), int64(math.MinInt64), int64(math.MaxInt64),
	int64(math.MaxInt32), int64(math.MaxInt32 + 1), int64(math.MinInt32), int64(math.MinInt32 - 1), int64(math.MaxUint32 + 1),
	uint8(0), uint8(math.MaxUint8), uint16(0), uint16(math.MaxUint16), uint32(0), uint32(math.MaxInt32), uint32(math.MaxUint32),
}

// others are values that plain JSON has, and those that it lacks.
var (
	others  = []any{true, false, "", "5", "5.0", "0x10", "undefined", 5.0, -0.5, 1e22, 1e300, math.MaxFloat64}
	lacking = []any{
		float32(1.1), math.Inf(1), []byte("5"), []byte{0xff}, "\xff", time.Unix(5, 0).UTC(), core.Decimal{Scale: 2, Value: -125},
		core.Decimal{Scale: 255, Value: math.MinInt32}, nil, topology.Table{"$int8": int8(5)},
	}
)

// value returns one of the leaves, or lists and tables of them.
func value(r *rand.Rand, leaves []any, depth int) any {
	switch r.IntN(6) {
	case 0:
		if depth > 0 {
			return []any{value(r, leaves, depth-1), value(r, leaves, depth-1)}
		}
	case 1:
		if depth > 0 {
			return topology.Table{"a": value(r, leaves, depth-1), "b": value(r, leaves, depth-1)}
		}
	}
	return leaves[r.IntN(len(leaves))]
}

// table has every leaf once, and some deeper down.
func table(r *rand.Rand, leaves []any) topology.Table {
	t := topology.Table{}
	for i, v := range leaves {
		t[fmt.Sprintf("%03d", i)] = v
		t[fmt.Sprintf("deep %03d", i)] = value(r, leaves, 3)
	}
	return t
}

// imported is what RabbitMQ makes of plain JSON: each whole number a long.
func imported(v any) any {
	switch v := v.(type) {
	case topology.Table:
		t := topology.Table{}
		for k, item := range v {
			t[k] = imported(item)
		}
		return t
	case []any:
		items := []any{}
		for _, item := range v {
			items = append(items, imported(item))
		}
		return items
	}
	r := reflect.ValueOf(v)
	switch {
	case r.CanInt():
		return r.Int()
	case r.CanUint():
		return int64(r.Uint())
	}
	return v
}

// TestNumbersKeepTheirWidth: a binding whose number has another width is another binding.
func TestNumbersKeepTheirWidth(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		in := topology.Topology{Bindings: []topology.Binding{
			{Source: "x", Destination: "q", Arguments: table(r, append(append(append([]any{}, whole...), others...), lacking...))},
		}}
		for syntax, marshal := range map[string]func(topology.Topology) ([]byte, error){"YAML": document.MarshalYAML, "JSON": document.MarshalJSON} {
			text, err := marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := document.Parse(text, document.Partial())
			if err != nil || !reflect.DeepEqual(got, in) {
				t.Fatalf("seed %d, %s: error %v\ngot  %#v\nwant %#v\n%s", seed, syntax, err, got, in, text)
			}
		}
	}
}

// TestNumbersOfDefinitions: what is read from definitions is what RabbitMQ would import.
func TestNumbersOfDefinitions(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 3))
		args := table(r, append(append([]any{}, whole...), others...))
		d := document.NewDefinitions()
		err := d.Set("/", topology.Topology{
			Exchanges: []topology.Exchange{{Name: "x", Type: topology.Headers, Arguments: args}},
			Queues:    []topology.Queue{{Name: "q", Arguments: args}},
			Bindings:  []topology.Binding{{Source: "x", Destination: "q", Arguments: args}},
		})
		if err != nil {
			t.Fatal(err)
		}
		text, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := document.ParseDefinitions(text)
		if err != nil {
			t.Fatal(err)
		}
		got, want := again.Topology("/"), imported(args)
		for _, args := range []topology.Table{got.Exchanges[0].Arguments, got.Queues[0].Arguments, got.Bindings[0].Arguments} {
			if !reflect.DeepEqual(any(args), want) {
				t.Fatalf("seed %d:\ngot  %#v\nwant %#v\n%s", seed, args, want, text)
			}
		}
	}
}

// TestDefinitionsHaveNoTypedValues: RabbitMQ takes what is a type in this
// project's own form for an ordinary table.
func TestDefinitionsHaveNoTypedValues(t *testing.T) {
	d, err := document.ParseDefinitions([]byte(`{"rabbitmq_definition_format":"single_virtual_host","queues":[],"exchanges":[],
		"bindings":[{"source":"x","destination":"q","destination_type":"queue","routing_key":"","arguments":{"a":{"$int8":5},"b":{"$nonsense":[1.0,2]}}}]}`))
	want := topology.Table{"a": topology.Table{"$int8": int64(5)}, "b": topology.Table{"$nonsense": []any{1.0, int64(2)}}}
	if err != nil || !reflect.DeepEqual(d.Topology("/").Bindings[0].Arguments, want) {
		t.Errorf("error %v, got %#v", err, d)
	}
}
