package document_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/document"
)

// declarations returns a topology as the bytes that declare it.
func declarations(t *testing.T, in topology.Topology) []string {
	t.Helper()
	var out []string
	for entity := range in.Entities() {
		b, err := wire.AppendMethod(nil, 0, record.Declare(entity).Method)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

func export(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

// exported is what the exports in testdata hold of virtual host /.
var exported = topology.Topology{
	Exchanges: []topology.Exchange{
		{Name: "orders", Type: topology.Topic, Arguments: topology.Table{"alternate-exchange": "unrouted"}},
		{Name: "passing", Type: topology.Direct, Transient: true, AutoDelete: true},
		{Name: "unrouted", Type: topology.Fanout},
	},
	Queues: []topology.Queue{
		{Name: "plain", Type: topology.Classic},
		{Name: "log", Type: topology.Stream, Arguments: topology.Table{"x-max-age": "7D", "x-own": []any{int64(1), "two", topology.Table{"three": int64(3)}}}},
		{Name: "gone", Type: topology.Classic, AutoDelete: true},
		{Name: "orders.eu", Type: topology.Quorum, Arguments: topology.Table{
			"x-dead-letter-exchange": "unrouted", "x-delivery-limit": int64(5), "x-message-ttl": int64(86400000000)}},
	},
	Bindings: []topology.Binding{
		{Source: "amq.topic", Destination: "plain", RoutingKey: "#"},
		{Source: "inner", Destination: "log", Arguments: topology.Table{"kind": "order", "n": int64(7), "x-match": "any"}},
		{Source: "orders", Destination: "inner", ToExchange: true, RoutingKey: "us.*"},
		{Source: "orders", Destination: "orders.eu", RoutingKey: "eu.#"},
		{Source: "amq.topic", Destination: "amq.rabbitmq.trace", ToExchange: true},
	},
}

func TestDefinitions(t *testing.T) {
	for _, c := range []struct {
		file   string
		vhosts []string
	}{
		{"rabbitmq-4.3-http.json", []string{"/", "other"}},
		{"rabbitmq-4.3-cli.json", []string{"/", "other"}},
		{"rabbitmq-4.0-cli.json", []string{"/", "other"}},
		{"rabbitmq-4.3-vhost.json", []string{""}},
	} {
		t.Run(c.file, func(t *testing.T) {
			data := export(t, c.file)
			d, err := document.ParseDefinitions(data)
			if err != nil {
				t.Fatal(err)
			}
			if got := d.VHosts(); !slices.Equal(got, c.vhosts) {
				t.Errorf("virtual hosts %q", got)
			}
			if got := d.Topology("/"); !sameEntities(t, got, exported) {
				t.Errorf("got  %+v\nwant %+v", got, exported)
			}
			text, err := d.Marshal()
			if err != nil || !sameJSON(t, data, text) {
				t.Errorf("error %v: written otherwise than read:\n%s", err, text)
			}
			// Set to what it is, the entities come back in the export's own form.
			if err := d.Set("/", d.Topology("/")); err != nil {
				t.Fatal(err)
			}
			text, err = d.Marshal()
			if err != nil || !sameJSON(t, sorted(t, data), sorted(t, text)) {
				t.Errorf("error %v: written otherwise than set:\n%s", err, text)
			}
		})
	}
}

func sameEntities(t *testing.T, a, b topology.Topology) bool {
	x, y := declarations(t, a), declarations(t, b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// sorted returns definitions with their lists in one order, and "internal"
// where an export leaves it out.
func sorted(t *testing.T, data []byte) []byte {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, value := range all {
		items, ok := value.([]any)
		if !ok {
			continue
		}
		for _, item := range items {
			if e, ok := item.(map[string]any); ok && e["internal"] == false {
				delete(e, "internal")
			}
		}
		slices.SortFunc(items, func(a, b any) int { return strings.Compare(text(a), text(b)) })
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func text(v any) string {
	b, _ := json.Marshal(v) // it was unmarshalled
	return string(b)
}

func TestDefinitionsOfANewVirtualHost(t *testing.T) {
	d := document.NewDefinitions()
	in := topology.Topology{
		Exchanges: []topology.Exchange{{Name: "x"}},
		Queues:    []topology.Queue{{Name: "q", Type: topology.Quorum}, {Name: "mine", Exclusive: true}, {}},
		Bindings:  []topology.Binding{{Source: "x", Destination: "q"}, {Source: "x", Destination: "mine"}},
	}
	if err := d.Set("prod", in); err != nil {
		t.Fatal(err)
	}
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want := `{
		"vhosts": [{"name": "prod"}],
		"exchanges": [{"name": "x", "vhost": "prod", "type": "direct", "durable": true, "auto_delete": false, "internal": false, "arguments": {}}],
		"queues": [{"name": "q", "vhost": "prod", "durable": true, "auto_delete": false, "arguments": {"x-queue-type": "quorum"}}],
		"bindings": [{"source": "x", "vhost": "prod", "destination": "q", "destination_type": "queue", "routing_key": "", "arguments": {}}]
	}`
	if !sameJSON(t, text, []byte(want)) {
		t.Errorf("got %s", text)
	}
	again, err := document.ParseDefinitions(text)
	if err != nil || !slices.Equal(again.VHosts(), []string{"prod"}) {
		t.Errorf("virtual hosts %q, error %v", again.VHosts(), err)
	}
}

func TestDefinitionsMistakes(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"no object", "[]", []string{"1"}},
		{"syntax", "{\n\"queues\": [}", []string{"2"}},
		{"unknown field", "{\"vhosts\":[{\"name\":\"/\"}],\n\"queues\": [{\"name\": \"a\", \"vhost\": \"/\",\n\"exclusive\": true}]}", []string{"3 queues[0].exclusive"}},
		{"no vhost", "{\"vhosts\":[],\n\"queues\": [{\"name\": \"a\"}]}", []string{"2 queues[0]"}},
		{"wrong types", "{\"exchanges\": [{\"name\": 1,\n\"durable\": \"yes\"}], \"bindings\": 3}", []string{"1 exchanges[0].name", "2 exchanges[0].durable", "2 bindings"}},
	} {
		_, err := document.ParseDefinitions([]byte(c.in))
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		if got := mistakes(t, err); !slices.Equal(got, c.want) {
			t.Errorf("%s: mistakes %q, want %q\n%v", c.name, got, c.want, err)
		}
	}
}

func FuzzParseDefinitions(f *testing.F) {
	for _, name := range []string{"rabbitmq-4.3-http.json", "rabbitmq-4.3-vhost.json", "rabbitmq-4.0-cli.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := document.ParseDefinitions(data)
		if err != nil {
			return
		}
		text, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := document.ParseDefinitions(text)
		if err != nil || !slices.Equal(again.VHosts(), d.VHosts()) {
			t.Fatalf("virtual hosts %q became %q, error %v", d.VHosts(), again.VHosts(), err)
		}
	})
}

// What plain JSON lacks would come out as a table, and be imported as one.
func TestDefinitionsRefuseWhatJSONLacks(t *testing.T) {
	whole := topology.Table{"bool": true, "int": 5, "wide": int64(1) << 40, "text": "a", "float": 1.5, "list": []any{"a", 1}, "table": topology.Table{"k": "v"}}
	d := document.NewDefinitions()
	if err := d.Set("/", topology.Topology{Bindings: []topology.Binding{{Source: "amq.headers", Destination: "q", Arguments: whole}}}); err != nil {
		t.Error(err)
	}
	before, _ := d.Marshal()
	for key, v := range map[string]any{
		"nil": nil, "bytes": []byte{0}, "time": time.Unix(0, 0), "decimal": core.Decimal{Scale: 1, Value: 5}, "float32": float32(1),
		"NaN": math.NaN(), "not utf-8": "\xff", "dollar": topology.Table{"$int8": 1},
		"deep": topology.Table{"list": []any{"a", topology.Table{"k": []byte{1}}}},
	} {
		err := d.Set("/", topology.Topology{Bindings: []topology.Binding{{Source: "amq.headers", Destination: "q", Arguments: topology.Table{key: v}}}})
		if err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), `binding of queue "q"`) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if after, _ := d.Marshal(); string(after) != string(before) {
		t.Errorf("an error has changed the definitions:\n%s", after)
	}
}
