package document_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/document"
)

// TestSchemaKnowsTheFields compares the fields of the schema with those that
// [document.Parse] names when it meets an unknown one.
func TestSchemaKnowsTheFields(t *testing.T) {
	var schema struct {
		Properties map[string]any
		Defs       map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(document.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	for in, properties := range map[string]map[string]any{
		`{"zz":1}`:                 schema.Properties,
		`{"exchanges":[{"zz":1}]}`: schema.Defs["exchange"].Properties,
		`{"queues":[{"zz":1}]}`:    schema.Defs["queue"].Properties,
		`{"bindings":[{"zz":1}]}`:  schema.Defs["binding"].Properties,
	} {
		_, err := document.Parse([]byte(in))
		if err == nil {
			t.Fatalf("%s was taken", in)
		}
		_, list, _ := strings.Cut(err.Error(), "known are ")
		if want := slices.Sorted(maps.Keys(properties)); list != strings.Join(want, ", ") {
			t.Errorf("%s: Parse knows %s, the schema %q", in, list, want)
		}
	}
}

func TestSchemaIsACopy(t *testing.T) {
	document.Schema()[0] = 'x'
	if !json.Valid(document.Schema()) {
		t.Error("the schema can be changed")
	}
}

// TestSchemaAgreesWithParse: what Parse takes and what Marshal writes is as the
// published schema says, and what is wrong in its form is wrong for both.
func TestSchemaAgreesWithParse(t *testing.T) {
	schema, err := newJSONSchema(document.Schema())
	if err != nil {
		t.Fatal(err)
	}
	arguments := func(value string) string {
		return `{"bindings": [{"source": "amq.headers", "destination": "q", "arguments": {"k": ` + value + `}}]}`
	}
	good := []string{
		`{}`, `{"version": 1}`, `{"exchanges": null, "queues": [], "bindings": null}`,
		`{"exchanges": [{"name": "x"}, {"name": "y", "type": "x-delayed", "transient": true, "auto_delete": true, "internal": true, "no_replay": true, "arguments": {"a": 1}}]}`,
		`{"queues": [{}, {"name": "q", "type": "quorum", "arguments": null}, {"exclusive": true, "transient": true, "auto_delete": true}]}`,
		`{"bindings": [{"source": "amq.topic", "destination": "q", "routing_key": "k"}, {"source": "amq.topic", "destination": "amq.fanout", "destination_type": "exchange"}]}`,
		`{"queues": [{"exclusive": true}], "bindings": [{"source": "amq.topic"}]}`,
		arguments(`5`), arguments(`1.5`), arguments(`"a"`), arguments(`null`), arguments(`true`), arguments(`[1, {"a": "b"}, []]`), arguments(`{}`),
		arguments(`{"a": 1, "$b": 2}`), arguments(`{"$int8": -8}`), arguments(`{"$uint32": 7}`), arguments(`{"$float32": "1.5"}`),
		arguments(`{"$float64": "NaN"}`), arguments(`{"$decimal": "-1.25"}`), arguments(`{"$time": "2006-01-02T15:04:05Z"}`),
		arguments(`{"$bytes": "AAE="}`), arguments(`{"$string": "/w=="}`), arguments(`{"$table": {"$int8": "no type"}}`),
	}
	for _, in := range good {
		if err := schema.check([]byte(in)); err != nil {
			t.Errorf("%s: the schema refuses it: %v", in, err)
		}
		if _, err := document.Parse([]byte(in), document.Partial()); err != nil {
			t.Errorf("%s: Parse refuses it: %v", in, err)
		}
	}
	for _, in := range []string{
		`[]`, `{"version": 2}`, `{"version": "1"}`, `{"zz": 1}`, `{"queues": {}}`, `{"queues": [1]}`,
		`{"exchanges": [{}]}`, `{"exchanges": [{"name": ""}]}`, `{"exchanges": [{"name": "amq.x"}]}`, `{"exchanges": [{"name": "x", "type": "other"}]}`,
		`{"exchanges": [{"name": "x", "transient": "yes"}]}`, `{"exchanges": [{"name": "x", "durable": true}]}`,
		`{"queues": [{"name": "amq.gen-1"}]}`, `{"queues": [{"name": "q", "type": "mirrored"}]}`, `{"queues": [{"name": "` + strings.Repeat("x", 256) + `"}]}`,
		`{"queues": [{"name": "q", "arguments": []}]}`,
		`{"bindings": [{"destination": "q"}]}`, `{"bindings": [{"source": "", "destination": "q"}]}`,
		`{"bindings": [{"source": "amq.topic", "destination": "q", "destination_type": "topic"}]}`,
		arguments(`{"$int8": "5"}`), arguments(`{"$int7": 5}`), arguments(`{"$float32": 1.5}`), arguments(`{"$decimal": "1,5"}`),
		arguments(`{"$time": "yesterday"}`), arguments(`{"$bytes": "!"}`), arguments(`{"$table": 5}`),
	} {
		if schema.check([]byte(in)) == nil {
			t.Errorf("%s: the schema takes it", in)
		}
		if _, err := document.Parse([]byte(in), document.Partial()); err == nil {
			t.Errorf("%s: Parse takes it", in)
		}
	}
	for name, in := range map[string]topology.Topology{"orders": wantOrders, "odd": oddTopology(), "empty": {}} {
		text, err := document.MarshalJSON(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.check(text); err != nil {
			t.Errorf("%s: the schema refuses what Marshal writes: %v\n%s", name, err, text)
		}
	}
}
