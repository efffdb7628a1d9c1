package document

import "fmt"

// node is a value of a document, whatever its syntax.
type node struct {
	line, column int
	kind         kind
	boolean      bool
	integer      int64
	number       float64
	text         string
	items        []*node
	fields       []field
}

// field is a key of an object with its value.
type field struct {
	key   string
	line  int
	value *node
}

type kind uint8

const (
	null kind = iota
	boolean
	integer
	number
	text
	list
	object
)

var kindNames = [...]string{"nothing", "true or false", "a whole number", "a number", "text", "a list", "an object"}

func (k kind) String() string { return kindNames[k] }

func boolNode(b bool) *node      { return &node{kind: boolean, boolean: b} }
func intNode(n int64) *node      { return &node{kind: integer, integer: n} }
func numberNode(f float64) *node { return &node{kind: number, number: f} }
func textNode(s string) *node    { return &node{kind: text, text: s} }
func listNode() *node            { return &node{kind: list} }
func objectNode() *node          { return &node{kind: object} }

// set adds a field, and replaces one of that key in its place.
func (n *node) set(key string, value *node) {
	for i := range n.fields {
		if n.fields[i].key == key {
			n.fields[i].value = value
			return
		}
	}
	n.fields = append(n.fields, field{key: key, value: value})
}

// get returns the value of a field, nil if there is none.
func (n *node) get(key string) *node {
	for _, f := range n.fields {
		if f.key == key {
			return f.value
		}
	}
	return nil
}

// Error is a mistake in a document.
type Error struct {
	Line   int    // counted from 1; 0 if not known
	Column int    // counted from 1; 0 if not known
	Field  string // for example "queues[2].arguments.x-expires"; "" for the syntax
	Err    error
}

// Error returns the place and what is wrong there.
func (e *Error) Error() string {
	place := ""
	if e.Line > 0 {
		place = fmt.Sprintf("line %d: ", e.Line)
	}
	if e.Field != "" {
		place += e.Field + ": "
	}
	return place + e.Err.Error()
}

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }
