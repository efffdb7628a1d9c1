package document_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

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
