package document_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/document"
)

const orders = `
# Orders, by region.
version: 1
exchanges:
  - name: orders
    type: topic
    arguments: {alternate-exchange: unrouted}
  - {name: unrouted, type: fanout, transient: true, auto_delete: true, internal: true}
queues:
  - name: orders.eu
    type: quorum
    arguments:
      x-delivery-limit: 5
      x-message-ttl: 86400000000
  - {exclusive: true, no_replay: true}
bindings:
  - {source: orders, destination: orders.eu, routing_key: "eu.#"}
  - {source: orders, destination: unrouted, destination_type: exchange, arguments: {n: {$int64: 5}}}
  - {source: amq.topic, destination: orders.eu}
`

var wantOrders = topology.Topology{
	Exchanges: []topology.Exchange{
		{Name: "orders", Type: topology.Topic, Arguments: topology.Table{"alternate-exchange": "unrouted"}},
		{Name: "unrouted", Type: topology.Fanout, Transient: true, AutoDelete: true, Internal: true},
	},
	Queues: []topology.Queue{
		{Name: "orders.eu", Type: topology.Quorum, Arguments: topology.Table{"x-delivery-limit": int32(5), "x-message-ttl": int64(86400000000)}},
		{Exclusive: true, NoReplay: true},
	},
	Bindings: []topology.Binding{
		{Source: "orders", Destination: "orders.eu", RoutingKey: "eu.#"},
		{Source: "orders", Destination: "unrouted", ToExchange: true, Arguments: topology.Table{"n": int64(5)}},
		{Source: "amq.topic", Destination: "orders.eu"},
	},
}

func TestParse(t *testing.T) {
	got, err := document.Parse([]byte(orders))
	if err != nil || !reflect.DeepEqual(got, wantOrders) {
		t.Errorf("error %v\ngot  %+v\nwant %+v", err, got, wantOrders)
	}
}

// oddTopology has names and values of every kind.
func oddTopology() topology.Topology {
	return topology.Topology{
		Queues: []topology.Queue{{Name: "q: \"1\"\n\ttwo\u2028 #x", Arguments: topology.Table{}}, {Name: "yes"}, {Name: "0x10"}, {Name: "null"}, {Name: "<<"}, {Name: "2020-01-01"}},
		Bindings: []topology.Binding{{Source: "amq.headers", Destination: "yes", Arguments: topology.Table{
			"int8": int8(-8), "int16": int16(-16), "int32": int32(math.MinInt32), "int64": int64(5), "large": int64(math.MaxInt64),
			"uint8": uint8(255), "uint16": uint16(16), "uint32": uint32(math.MaxUint32),
			"float32": float32(1.5), "float64": 5.0, "small": 1e-300, "inf": math.Inf(-1),
			"decimal": core.Decimal{Scale: 3, Value: -5}, "whole decimal": core.Decimal{Value: 7},
			"time": time.Unix(1234567890, 0).UTC(), "bytes": []byte{0, 255}, "string": "a", "not utf-8": "\xff", "empty": "", "true": true, "nil": nil,
			"list": []any{int32(1), "two", topology.Table{"three": int8(3)}, []any{}}, "table": topology.Table{"k": topology.Table{}},
			"dollar": topology.Table{"$int8": "no type"}, "null": "null", "emoji": "🐇", "~": "~", "no": "no",
		}}},
	}
}

// TestRoundTrip writes and reads again, in both syntaxes.
func TestRoundTrip(t *testing.T) {
	for name, in := range map[string]topology.Topology{"orders": wantOrders, "odd": oddTopology(), "empty": {}} {
		for syntax, marshal := range map[string]func(topology.Topology) ([]byte, error){"YAML": document.MarshalYAML, "JSON": document.MarshalJSON} {
			text, err := marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := document.Parse(text)
			if err != nil {
				t.Errorf("%s in %s: %v\n%s", name, syntax, err, text)
				continue
			}
			if len(in.Queues) > 0 && len(in.Queues[0].Arguments) == 0 {
				got.Queues[0].Arguments = in.Queues[0].Arguments
			}
			if !reflect.DeepEqual(got, in) {
				t.Errorf("%s in %s:\ngot  %#v\nwant %#v\n%s", name, syntax, got, in, text)
			}
		}
	}
}

// TestWhatABrokerListsCanBeReadAgain: it lists also what nobody can declare.
func TestWhatABrokerListsCanBeReadAgain(t *testing.T) {
	own := wantOrders.Clone()
	own.Queues = own.Queues[:1]
	listed := own.Clone()
	listed.Exchanges = append(listed.Exchanges,
		topology.Exchange{Type: topology.Direct}, topology.Exchange{Name: "amq.direct", Type: topology.Direct},
		topology.Exchange{Name: "amq.topic", Type: topology.Topic},
		topology.Exchange{Name: "amq.rabbitmq.trace", Type: topology.Topic, Internal: true},
		topology.Exchange{Name: "amq.rabbitmq.log", Type: topology.Topic, Internal: true})
	listed.Queues = append(listed.Queues, topology.Queue{Name: "amq.gen-1", Exclusive: true, AutoDelete: true})
	listed.Bindings = append(listed.Bindings, topology.Binding{Destination: "orders.eu", RoutingKey: "orders.eu"}, topology.Binding{Source: "orders", Destination: "amq.gen-1"})
	for syntax, marshal := range map[string]func(topology.Topology) ([]byte, error){"YAML": document.MarshalYAML, "JSON": document.MarshalJSON} {
		text, err := marshal(listed)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := document.Parse(text); err != nil || !reflect.DeepEqual(got, own) {
			t.Errorf("%s: error %v\ngot  %+v\nwant %+v", syntax, err, got, own)
		}
	}
	d := document.NewDefinitions()
	if err := d.Set("/", listed); err != nil || !reflect.DeepEqual(d.Topology("/"), own) {
		t.Errorf("definitions: error %v\n%+v", err, d.Topology("/"))
	}
}

func TestWidthsOfQueueArgumentsDoNotMatter(t *testing.T) {
	text, err := document.MarshalYAML(topology.Topology{Queues: []topology.Queue{
		{Name: "q", Arguments: topology.Table{"x-max-length": int64(5), "x-max-priority": uint8(3), "x-expires": 7}},
	}})
	want := "version: 1\nqueues:\n  - name: q\n    arguments:\n      x-expires: 7\n      x-max-length: 5\n      x-max-priority: 3\n"
	if err != nil || string(text) != want {
		t.Errorf("error %v\n%s", err, text)
	}
}

func TestMarshalRefusesWhatAMQPCannotCarry(t *testing.T) {
	in := topology.Topology{Queues: []topology.Queue{{Name: "q", Arguments: topology.Table{"k": struct{}{}}}}}
	if _, err := document.MarshalJSON(in); err == nil || !strings.Contains(err.Error(), `queue "q"`) {
		t.Errorf("error %v", err)
	}
}

// mistakes returns "line field" of each mistake that err joins.
func mistakes(t *testing.T, err error) []string {
	t.Helper()
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	var out []string
	for _, one := range list {
		e, ok := errs.AsType[*document.Error](one)
		if !ok {
			t.Fatalf("no document error: %v", one)
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%d %s", e.Line, e.Field)))
	}
	return out
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"YAML syntax", "queues:\n  - name: a\n - name: b\n", []string{"2"}},
		{"JSON syntax", "{\n\"queues\": [\n{\"name\" \"a\"}]}", []string{"3"}},
		{"JSON ends early", "{\"queues\": [\n{\"name\": \"a\"}\n", []string{"3"}},
		{"JSON goes on", "{}\n{}", []string{"2"}},
		{"two YAML documents", "queues: []\n---\nqueues: []\n", []string{"2"}},
		{"not an object", "- a\n", []string{"1"}},
		{"unknown fields", "queue: []\nqueues:\n  - name: a\n    durable: true\n", []string{"1 queue", "4 queues[0].durable"}},
		{"fields twice", "{\"queues\": [],\n\"queues\": []}", []string{"2 queues"}},
		{"wrong types", "queues:\n  - name: 7\n    exclusive: 1\n  - a\nbindings: {}\n",
			[]string{"2 queues[0].name", "3 queues[0].exclusive", "4 queues[1]", "5 bindings"}},
		{"wrong destination type", "bindings:\n  - {source: a, destination: b, destination_type: topic}\n", []string{"2 bindings[0].destination_type"}},
		{"wrong version", "version: 2\nwhatever: 1\n", []string{"0 version"}},
		{"out of range", "{\"queues\":[{\"name\":\"a\",\n\"arguments\":{\"x\":99999999999999999999}}]}", []string{"2"}},
		{"wrong typed values", "queues:\n  - name: a\n    arguments:\n      a: {$int8: 300}\n      b: {$nothing: 1}\n      c: {$time: soon}\n      d: {$bytes: '*'}\n      e: {$int8: [1]}\n      f: {$decimal: 1.2.3}\n",
			[]string{"4 queues[0].arguments.a.$int8", "5 queues[0].arguments.b.$nothing", "6 queues[0].arguments.c.$time",
				"7 queues[0].arguments.d.$bytes", "8 queues[0].arguments.e.$int8", "9 queues[0].arguments.f.$decimal"}},
		{"an argument twice", "{\"queues\":[{\"name\":\"a\",\"arguments\":{\n\"x\":1,\n\"x\":2}}]}", []string{"3 queues[0].arguments.x"}},
		{"what RabbitMQ would refuse", "exchanges:\n  - name: amq.mine\nqueues:\n  - {name: a, type: stream, exclusive: true, arguments: {x-expires: soon}}\n",
			[]string{"2 exchanges[0]", "4 queues[0]", "4 queues[0]", "4 queues[0]"}},
		{"bindings to nowhere", "queues:\n  - name: a\nbindings:\n  - {source: amq.topic, destination: a}\n  - {source: none, destination: b}\n",
			[]string{"5 bindings[1]", "5 bindings[1]"}},
		{"an alias that contains itself", "a: &a [*a]\n", []string{"1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := document.Parse([]byte(c.in))
			if err == nil {
				t.Fatalf("parsed as %+v", got)
			}
			if m := mistakes(t, err); !slices.Equal(m, c.want) {
				t.Errorf("mistakes %q, want %q\n%v", m, c.want, err)
			}
		})
	}
}

func TestPartial(t *testing.T) {
	in := []byte("bindings:\n  - {source: theirs, destination: theirs too}\n")
	if _, err := document.Parse(in); err == nil {
		t.Error("a binding to nowhere was taken")
	}
	if got, err := document.Parse(in, document.Partial()); err != nil || len(got.Bindings) != 1 {
		t.Errorf("%v, error %v", got, err)
	}
}

func TestAliasesAreBounded(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a: &a [1,1,1,1,1,1,1,1,1,1]\n")
	for c := 'b'; c <= 'j'; c++ {
		fmt.Fprintf(&bomb, "%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ","))
	}
	if _, err := document.Parse([]byte(bomb.String())); err == nil {
		t.Error("no error")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(orders))
	f.Add([]byte(`{"queues":[{"name":"q","arguments":{"a":[1,2.5,null,{"$time":"2006-01-02T15:04:05Z"}]}}]}`))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := document.Parse(data)
		if err != nil {
			return
		}
		for _, marshal := range []func(topology.Topology) ([]byte, error){document.MarshalYAML, document.MarshalJSON} {
			text, err := marshal(first)
			if err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
			again, err := document.Parse(text)
			if err != nil {
				t.Fatalf("what was written cannot be read: %v\n%s", err, text)
			}
			if one, two := declarations(t, first.Declarable()), declarations(t, again); !slices.Equal(one, two) {
				t.Fatalf("%q\nbecame\n%q", one, two)
			}
		}
	})
}
