package document

import _ "embed"

//go:embed topology.schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of the form that [Parse]
// reads, for editors and for checks without this package. It allows what the
// form allows; [Parse] checks more.
func Schema() []byte { return append([]byte(nil), schema...) }
