package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// maxAliased bounds the values that aliases can blow a document up by.
const maxAliased = 100_000

// readYAML reads one YAML document; a file without any is an empty object.
func readYAML(data []byte) (*node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return objectNode(), nil
	}
	if err != nil {
		return nil, yamlMistake(err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, yamlMistake(err)
		}
		return nil, &Error{Line: more.Line, Err: errors.New("there is a second document")}
	}
	return (&yamlConverter{}).node(doc.Content[0], 0)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// yamlMistake takes the line out of the library's message.
func yamlMistake(err error) error {
	e := &Error{Err: err}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		e.Line, _ = strconv.Atoi(m[1]) // 0 if there is none
		e.Err = errors.New(m[2])
	}
	return e
}

type yamlConverter struct {
	aliases int // around the present value
	aliased int // values inside of any
}

func (c *yamlConverter) node(y *yaml.Node, depth int) (*node, error) {
	n := &node{line: y.Line, column: y.Column}
	mistake := func(err error) (*node, error) { return nil, &Error{Line: y.Line, Column: y.Column, Err: err} }
	if c.aliases > 0 {
		c.aliased++
	}
	switch {
	case c.aliased > maxAliased:
		return mistake(fmt.Errorf("aliases stand for more than %d values", maxAliased))
	case depth > maxDepth:
		return mistake(errTooDeep)
	}
	switch y.Kind {
	case yaml.AliasNode:
		c.aliases++
		defer func() { c.aliases-- }()
		return c.node(y.Alias, depth+1)
	case yaml.SequenceNode:
		n.kind = list
		for _, item := range y.Content {
			value, err := c.node(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, value)
		}
	case yaml.MappingNode:
		n.kind = object
		for i := 0; i < len(y.Content); i += 2 {
			key := y.Content[i]
			if key.Kind != yaml.ScalarNode {
				return nil, &Error{Line: key.Line, Column: key.Column, Err: errors.New("a key must be text")}
			}
			value, err := c.node(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			n.fields = append(n.fields, field{key.Value, key.Line, value})
		}
	default:
		if err := n.setScalar(y); err != nil {
			return mistake(err)
		}
	}
	return n, nil
}

// setScalar takes dates and whatever else has no type of its own for text.
func (n *node) setScalar(y *yaml.Node) error {
	switch y.ShortTag() {
	case "!!null":
		n.kind = null
	case "!!bool":
		n.kind = boolean
		return y.Decode(&n.boolean)
	case "!!int":
		n.kind = integer
		if err := y.Decode(&n.integer); err != nil {
			return fmt.Errorf("%s is out of range", y.Value)
		}
	case "!!float":
		n.kind = number
		return y.Decode(&n.number)
	case "!!str", "!!timestamp", "!!merge":
		n.kind, n.text = text, y.Value
	default:
		return fmt.Errorf("values of type %s are not known here", y.ShortTag())
	}
	return nil
}

// writeYAML returns n with an indentation of two spaces.
func writeYAML(n *node) ([]byte, error) {
	y, err := toYAML(n)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(y); err != nil {
		return nil, err
	}
	if err := e.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func toYAML(n *node) (*yaml.Node, error) {
	y := &yaml.Node{}
	switch n.kind {
	case list:
		y.Kind = yaml.SequenceNode
		for _, item := range n.items {
			v, err := toYAML(item)
			if err != nil {
				return nil, err
			}
			y.Content = append(y.Content, v)
		}
	case object:
		y.Kind = yaml.MappingNode
		for _, f := range n.fields {
			key, err := toYAML(textNode(f.key))
			if err != nil {
				return nil, err
			}
			v, err := toYAML(f.value)
			if err != nil {
				return nil, err
			}
			y.Content = append(y.Content, key, v)
		}
	case null:
		return y, y.Encode(nil)
	case boolean:
		return y, y.Encode(n.boolean)
	case integer:
		return y, y.Encode(n.integer)
	case number:
		y.Kind, y.Tag, y.Value = yaml.ScalarNode, "!!float", formatNumber(n.number)
	case text:
		y.Kind, y.Tag, y.Value = yaml.ScalarNode, "!!str", n.text // quoted where it would mean something else
	}
	return y, nil
}
