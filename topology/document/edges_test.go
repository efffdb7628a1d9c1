package document_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/document"
)

// fill sets every field of a struct to something.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		switch f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.String:
			f.SetString("s")
		case reflect.Map:
			f.Set(reflect.ValueOf(topology.Table{"own": int32(1)}))
		}
	}
}

// TestEveryFieldIsWrittenAndRead: of a field that is forgotten nobody would hear.
func TestEveryFieldIsWrittenAndRead(t *testing.T) {
	in := topology.Topology{Exchanges: make([]topology.Exchange, 1), Queues: make([]topology.Queue, 1), Bindings: make([]topology.Binding, 1)}
	fill(reflect.ValueOf(&in.Exchanges[0]).Elem())
	fill(reflect.ValueOf(&in.Queues[0]).Elem())
	fill(reflect.ValueOf(&in.Bindings[0]).Elem())
	in.Exchanges[0].Type, in.Queues[0].Type = topology.Fanout, topology.Classic
	for syntax, marshal := range map[string]func(topology.Topology) ([]byte, error){"YAML": document.MarshalYAML, "JSON": document.MarshalJSON} {
		text, err := marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := document.Parse(text); err != nil || !reflect.DeepEqual(got, in) {
			t.Errorf("%s: error %v\ngot  %+v\nwant %+v\n%s", syntax, err, got, in, text)
		}
	}
}

// TestDefinitionsDropWhatTheyCannotExpress, and nothing of the same name.
func TestDefinitionsDropWhatTheyCannotExpress(t *testing.T) {
	all := topology.Topology{
		Exchanges: []topology.Exchange{{Name: "a", Type: topology.Direct}, {Name: "held", Type: topology.Direct}},
		Queues:    []topology.Queue{{Name: "held", Exclusive: true}, {}, {Name: "q"}},
		Bindings: []topology.Binding{
			{Source: "a", Destination: "held"}, {Source: "a", Destination: "held", ToExchange: true}, {Source: "held", Destination: "q"},
			{Source: "a", Destination: ""}, {Source: "a", Destination: "q"},
		},
	}
	want := topology.Topology{
		Exchanges: all.Exchanges, Queues: all.Queues[2:],
		Bindings: []topology.Binding{all.Bindings[1], all.Bindings[2], all.Bindings[4]},
	}
	d := document.NewDefinitions()
	if err := d.Set("/", all); err != nil {
		t.Fatal(err)
	}
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := document.ParseDefinitions(text)
	if err != nil || !reflect.DeepEqual(d.Topology("/"), want) || !reflect.DeepEqual(again.Topology("/"), want) {
		t.Errorf("error %v\ngot  %+v\nread %+v\nwant %+v", err, d.Topology("/"), again.Topology("/"), want)
	}
}

// TestDecimals: what does not fit is a mistake, and never another number.
func TestDecimals(t *testing.T) {
	for text, want := range map[string]any{
		"1.25": core.Decimal{Scale: 2, Value: 125}, "-0.05": core.Decimal{Scale: 2, Value: -5}, "7": core.Decimal{Value: 7},
		"2147483647": core.Decimal{Value: 1<<31 - 1}, "-2147483648": core.Decimal{Value: -1 << 31},
		"0." + strings.Repeat("0", 254) + "1": core.Decimal{Scale: 255, Value: 1},
		"0." + strings.Repeat("0", 255) + "1": nil, "0." + strings.Repeat("0", 511) + "1": nil,
		"2147483648": nil, "21474836.48": nil, "1.2.3": nil, "": nil, "1e3": nil, "x": nil,
	} {
		got, err := document.Parse([]byte(`{"queues": [{"name": "q", "arguments": {"own": {"$decimal": "` + text + `"}}}]}`))
		if (err == nil) != (want != nil) || err == nil && got.Queues[0].Arguments["own"] != want {
			t.Errorf("%q: %+v, error %v", text, got, err)
		}
	}
}

// TestVirtualHostsWithoutEntities are listed, and wrong ones are mistakes.
func TestVirtualHostsWithoutEntities(t *testing.T) {
	for text, want := range map[string][]string{
		`{"vhosts": [{"name": "b"}, {"name": "a", "metadata": {}}], "queues": []}`: {"a", "b"},
		`{"vhosts": [{}], "exchanges": null}`:                                      nil,
		`{"vhosts": [{"name": 5}]}`:                                                {"mistake"},
		`{"vhosts": ["a"]}`:                                                        {"mistake"},
		`{"vhosts": {}}`:                                                           {"mistake"},
	} {
		d, err := document.ParseDefinitions([]byte(text))
		if mistake := slices.Equal(want, []string{"mistake"}); (err != nil) != mistake || err == nil && !slices.Equal(d.VHosts(), want) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}
