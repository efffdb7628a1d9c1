package document

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// decoder turns nodes into what they stand for, and collects every mistake.
type decoder struct {
	mistakes []error
	plain    bool // arguments are those of RabbitMQ's definitions
}

func (d *decoder) mistake(line, column int, path, format string, a ...any) {
	d.mistakes = append(d.mistakes, &Error{Line: line, Column: column, Field: path, Err: fmt.Errorf(format, a...)})
}

// is notes a mistake unless n is of kind k.
func (d *decoder) is(n *node, path string, k kind) bool {
	if n.kind != k {
		d.mistake(n.line, n.column, path, "must be %s, not %s", k, n.kind)
	}
	return n.kind == k
}

// into takes one value.
type into func(n *node, path string)

// object hands each field to its taker. Fields without one, and those that
// occur twice, are mistakes.
func (d *decoder) object(n *node, path string, takers map[string]into) {
	if !d.is(n, path, object) {
		return
	}
	seen := map[string]bool{}
	for _, f := range n.fields {
		at := join(path, f.key)
		take, known := takers[f.key]
		switch {
		case !known:
			d.mistake(f.line, 0, at, "is unknown here; known are %s", strings.Join(slices.Sorted(maps.Keys(takers)), ", "))
		case seen[f.key]:
			d.mistake(f.line, 0, at, "occurs twice")
		default:
			take(f.value, at)
		}
		seen[f.key] = true
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// each hands every item of a list to take; nothing stands for an empty list.
func (d *decoder) each(take into) into {
	return func(n *node, path string) {
		if n.kind == null || !d.is(n, path, list) {
			return
		}
		for i, item := range n.items {
			take(item, fmt.Sprintf("%s[%d]", path, i))
		}
	}
}

func (d *decoder) text(p *string) into {
	return func(n *node, path string) {
		if d.is(n, path, text) {
			*p = n.text
		}
	}
}

func (d *decoder) flag(p *bool) into {
	return func(n *node, path string) {
		if d.is(n, path, boolean) {
			*p = n.boolean
		}
	}
}

// not is flag with the opposite meaning.
func (d *decoder) not(p *bool) into {
	return func(n *node, path string) {
		if d.is(n, path, boolean) {
			*p = !n.boolean
		}
	}
}

// choice takes one of several texts.
func (d *decoder) choice(take func(string), choices ...string) into {
	return func(n *node, path string) {
		switch {
		case !d.is(n, path, text):
		case !slices.Contains(choices, n.text):
			d.mistake(n.line, n.column, path, "must be one of %s, not %q", strings.Join(choices, ", "), n.text)
		default:
			take(n.text)
		}
	}
}

func (d *decoder) skip(*node, string) {}

func (d *decoder) err() error { return errors.Join(d.mistakes...) }
