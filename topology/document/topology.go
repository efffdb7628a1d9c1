package document

import (
	"bytes"
	"fmt"

	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/topology"
)

// Version is the version of the form that is written, and the only one read.
const Version = 1

// Option changes how a document is read.
type Option func(*reading)

type reading struct{ partial bool }

// Partial permits bindings whose exchange or queue is not in the document,
// because somebody else declares it. Without it they are mistakes.
func Partial() Option { return func(r *reading) { r.partial = true } }

// Parse reads a topology from YAML or JSON in this project's form; a document
// that begins with "{" is read as JSON. The form is described by [Schema].
//
// The topology is validated: see [topology.Topology.Validate] and, unless the
// document is [Partial], [topology.Topology.Complete]. The error joins an
// [*Error] for every mistake.
func Parse(data []byte, options ...Option) (topology.Topology, error) {
	var r reading
	for _, o := range options {
		o(&r)
	}
	root, err := read(data)
	if err != nil {
		return topology.Topology{}, err
	}
	d := &topologyDecoder{places: map[string]place{}}
	d.document(root)
	if err := d.err(); err != nil {
		return topology.Topology{}, err
	}
	d.validate(d.t.Validate())
	if !r.partial {
		d.validate(d.t.Complete())
	}
	if err := d.err(); err != nil {
		return topology.Topology{}, err
	}
	return d.t, nil
}

func read(data []byte) (*node, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return readJSON(data)
	}
	return readYAML(data)
}

// topologyDecoder remembers where entities are, for mistakes that are found later.
type topologyDecoder struct {
	decoder
	t      topology.Topology
	places map[string]place // by the entity's text
}

type place struct {
	line int
	path string
}

func (d *topologyDecoder) at(entity topology.Entity, n *node, path string) {
	if _, known := d.places[entity.String()]; !known {
		d.places[entity.String()] = place{n.line, path}
	}
}

func (d *topologyDecoder) document(root *node) {
	version := int64(Version)
	d.object(root, "", map[string]into{
		"$schema": d.skip,
		"version": func(n *node, path string) {
			if d.is(n, path, integer) {
				version = n.integer
			}
		},
		"exchanges": d.each(d.exchange),
		"queues":    d.each(d.queue),
		"bindings":  d.each(d.binding),
	})
	if version != Version {
		d.mistakes = []error{&Error{Field: "version", Err: fmt.Errorf("is %d, and this reads version %d", version, Version)}}
	}
}

func (d *topologyDecoder) exchange(n *node, path string) {
	var e topology.Exchange
	d.object(n, path, map[string]into{
		"name": d.text(&e.Name), "type": d.text(&e.Type), "transient": d.flag(&e.Transient), "auto_delete": d.flag(&e.AutoDelete),
		"internal": d.flag(&e.Internal), "no_replay": d.flag(&e.NoReplay), "arguments": d.table(&e.Arguments),
	})
	d.at(e, n, path)
	d.t.Exchanges = append(d.t.Exchanges, e)
}

func (d *topologyDecoder) queue(n *node, path string) {
	var q topology.Queue
	d.object(n, path, map[string]into{
		"name": d.text(&q.Name), "type": d.text(&q.Type), "transient": d.flag(&q.Transient), "exclusive": d.flag(&q.Exclusive),
		"auto_delete": d.flag(&q.AutoDelete), "no_replay": d.flag(&q.NoReplay), "arguments": d.table(&q.Arguments),
	})
	d.at(q, n, path)
	d.t.Queues = append(d.t.Queues, q)
}

func (d *topologyDecoder) binding(n *node, path string) {
	var b topology.Binding
	d.object(n, path, map[string]into{
		"source": d.text(&b.Source), "destination": d.text(&b.Destination),
		"destination_type": d.choice(func(s string) { b.ToExchange = s == "exchange" }, "queue", "exchange"),
		"routing_key":      d.text(&b.RoutingKey), "no_replay": d.flag(&b.NoReplay), "arguments": d.table(&b.Arguments),
	})
	d.at(b, n, path)
	d.t.Bindings = append(d.t.Bindings, b)
}

// validate adds the problems that err joins, each with its place.
func (d *topologyDecoder) validate(err error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return
	}
	for _, one := range joined.Unwrap() {
		e := &Error{Err: one}
		if p, ok := errs.AsType[*topology.Problem](one); ok {
			at := d.places[p.Entity.String()]
			e.Line, e.Field = at.line, at.path
		}
		d.mistakes = append(d.mistakes, e)
	}
}

// MarshalYAML writes what can be declared of t in this project's form: see
// [topology.Topology.Declarable]. The errors are arguments that AMQP cannot carry.
func MarshalYAML(t topology.Topology) ([]byte, error) {
	n, err := topologyNode(t)
	if err != nil {
		return nil, err
	}
	return writeYAML(n)
}

// MarshalJSON is [MarshalYAML] in JSON.
func MarshalJSON(t topology.Topology) ([]byte, error) {
	n, err := topologyNode(t)
	if err != nil {
		return nil, err
	}
	return writeJSON(n)
}

func topologyNode(t topology.Topology) (*node, error) {
	t = t.Declarable()
	root := objectNode()
	root.set("version", intNode(Version))
	w := &writer{}
	for _, e := range t.Exchanges {
		w.begin(e, "name", e.Name)
		w.text("type", e.Type)
		w.flag("transient", e.Transient)
		w.flag("auto_delete", e.AutoDelete)
		w.flag("internal", e.Internal)
		w.flag("no_replay", e.NoReplay)
		w.table(e.Arguments, false)
	}
	w.end(root, "exchanges")
	for _, q := range t.Queues {
		w.begin(q, "name", q.Name)
		w.text("type", q.Type)
		w.flag("transient", q.Transient)
		w.flag("exclusive", q.Exclusive)
		w.flag("auto_delete", q.AutoDelete)
		w.flag("no_replay", q.NoReplay)
		w.table(q.Arguments, false)
	}
	w.end(root, "queues")
	for _, b := range t.Bindings {
		w.begin(b, "source", b.Source)
		w.text("destination", b.Destination)
		if b.ToExchange {
			w.text("destination_type", "exchange")
		}
		w.text("routing_key", b.RoutingKey)
		w.flag("no_replay", b.NoReplay)
		w.table(b.Arguments, true)
	}
	w.end(root, "bindings")
	return root, w.err
}

// writer makes a list of entities. What has its default is left out.
type writer struct {
	list   *node
	entity topology.Entity
	now    *node
	err    error
}

func (w *writer) begin(entity topology.Entity, key, name string) {
	if w.list == nil {
		w.list = listNode()
	}
	w.entity, w.now = entity, objectNode()
	w.now.set(key, textNode(name))
	w.list.items = append(w.list.items, w.now)
}

func (w *writer) text(key, s string) {
	if s != "" {
		w.now.set(key, textNode(s))
	}
}

func (w *writer) flag(key string, b bool) {
	if b {
		w.now.set(key, boolNode(b))
	}
}

func (w *writer) table(t topology.Table, exact bool) {
	if len(t) == 0 {
		return
	}
	n, err := argumentsNode(t, exact)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("%s: %w", w.entity, err)
	}
	w.now.set("arguments", n)
}

func (w *writer) end(root *node, key string) {
	if w.list != nil {
		root.set(key, w.list)
	}
	w.list = nil
}
