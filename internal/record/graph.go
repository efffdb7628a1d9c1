package record

import (
	"container/list"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/topology"
)

// graph holds what is recorded: exchanges and queues are its vertices,
// bindings its edges. A binding points to its ends, so that renaming a queue
// touches no binding, and each end knows its bindings, so that deleting
// touches no other. It is pure: no lock, no clock.
type graph struct {
	vertices map[vertexKey]*vertex
	edges    map[edgeKey]*edge
	aliases  map[string]*vertex // a server-named queue by each earlier name

	exchanges, queues, bindings list.List // of *vertex, *vertex, *edge, in the order of declaration
}

// vertex is an exchange or a queue. If it is not recorded itself, it is here
// as the end of a recorded binding.
type vertex struct {
	vertexKey
	place    *list.Element // nil: not recorded itself
	exchange *topology.Exchange
	queue    *queueRecord
	bound    [2][]*edge // by the side on which it is
	fate     fate
}

type vertexKey struct {
	name  string // of a queue the present one
	queue bool
}

// queueRecord is a queue and what belongs to it.
type queueRecord struct {
	topology.Queue
	serverNamed bool     // declare it with an empty name
	aliases     []string // its earlier names, oldest first
	consumers   int
	expires     time.Duration // 0: never
	used        time.Time     // when it was last declared, or lost a consumer
}

// edge is a binding.
type edge struct {
	edgeKey
	topology.Binding // its names may be outdated: those of the ends are right
	place            *list.Element
	at               [2]int // where it is in the ends' lists
	fate             fate
}

// edgeKey tells bindings apart: two that differ only by arguments are two.
type edgeKey struct {
	ends [2]*vertex
	key  string
	args string // encoded, in which equal tables have equal bytes
}

// The sides of an edge.
const (
	source = iota
	destination
)

// fate says whether a record is still wanted. Plans are made of copies, so
// they look here before they declare something, and once more when they have.
type fate struct{ atomic.Uint32 }

const (
	live      uint32 = iota
	forgotten        // expired, gone with something else, or no longer to be declared
	unused           // gone with its last consumer or binding
	deleted          // by the application
)

func newGraph() *graph {
	return &graph{vertices: map[vertexKey]*vertex{}, edges: map[edgeKey]*edge{}, aliases: map[string]*vertex{}}
}

func (g *graph) size() int { return g.exchanges.Len() + g.queues.Len() + g.bindings.Len() }

// vertex returns the vertex of that name, a new one if there is none.
func (g *graph) vertex(k vertexKey) *vertex {
	v := g.vertices[k]
	if v == nil {
		v = &vertex{vertexKey: k}
		g.vertices[k] = v
	}
	return v
}

// find returns a recorded vertex, or nil.
func (g *graph) find(k vertexKey) *vertex {
	if v := g.vertices[k]; v != nil && v.place != nil {
		return v
	}
	return nil
}

// prune drops a vertex that nothing needs any more.
func (g *graph) prune(v *vertex) {
	if v.place == nil && len(v.bound[source])+len(v.bound[destination]) == 0 && g.vertices[v.vertexKey] == v {
		delete(g.vertices, v.vertexKey)
	}
}

func (g *graph) addExchange(e topology.Exchange) {
	v := g.vertex(vertexKey{name: e.Name})
	if v.place == nil {
		v.place = g.exchanges.PushBack(v)
	}
	v.exchange = &e
}

func (g *graph) addQueue(q *queueRecord) {
	v := g.vertex(vertexKey{name: q.Name, queue: true})
	if v.place == nil {
		v.place = g.queues.PushBack(v)
	} else {
		q.consumers, q.aliases = v.queue.consumers, v.queue.aliases
	}
	v.queue = q
}

func ends(b topology.Binding) (from, to vertexKey) {
	return vertexKey{name: b.Source}, vertexKey{name: b.Destination, queue: !b.ToExchange}
}

func (g *graph) addBinding(b topology.Binding, args string) {
	from, to := ends(b)
	k := edgeKey{ends: [2]*vertex{g.vertex(from), g.vertex(to)}, key: b.RoutingKey, args: args}
	if known := g.edges[k]; known != nil {
		known.NoReplay = b.NoReplay
		return
	}
	e := &edge{edgeKey: k, Binding: b}
	for side, v := range k.ends {
		e.at[side] = len(v.bound[side])
		v.bound[side] = append(v.bound[side], e)
	}
	e.place = g.bindings.PushBack(e)
	g.edges[k] = e
}

// findBinding returns a recorded binding, or nil.
func (g *graph) findBinding(b topology.Binding, args string) *edge {
	from, to := ends(b)
	k := edgeKey{ends: [2]*vertex{g.vertices[from], g.vertices[to]}, key: b.RoutingKey, args: args}
	if k.ends[source] == nil || k.ends[destination] == nil {
		return nil
	}
	return g.edges[k]
}

// cut removes a binding and nothing else.
func (g *graph) cut(e *edge, f uint32) {
	e.fate.Store(f)
	delete(g.edges, e.edgeKey)
	g.bindings.Remove(e.place)
	for side, v := range e.ends {
		last := len(v.bound[side]) - 1
		moved := v.bound[side][last]
		v.bound[side][e.at[side]], moved.at[side] = moved, e.at[side]
		v.bound[side][last] = nil
		v.bound[side] = v.bound[side][:last]
		g.prune(v)
	}
}

// unbind removes a binding, and with the last one of an auto-delete exchange
// the exchange, and so on.
func (g *graph) unbind(e *edge, f uint32) {
	g.cut(e, f)
	from := e.ends[source]
	if from.exchange != nil && from.exchange.AutoDelete && len(from.bound[source]) == 0 {
		g.remove(from, unused)
	}
}

// remove removes a vertex with every binding from and to it.
func (g *graph) remove(v *vertex, f uint32) {
	g.exclude(v, f)
	for side := range v.bound {
		for len(v.bound[side]) > 0 {
			g.unbind(v.bound[side][0], forgotten)
		}
	}
	g.prune(v)
}

// exclude removes a vertex alone; what is bound stays.
func (g *graph) exclude(v *vertex, f uint32) {
	if v.place == nil {
		return
	}
	v.fate.Store(f)
	switch {
	case v.queue != nil:
		g.queues.Remove(v.place)
		for _, name := range v.queue.aliases {
			delete(g.aliases, name)
		}
	default:
		g.exchanges.Remove(v.place)
	}
	v.place, v.exchange, v.queue = nil, nil, nil
}

// maxAliases bounds the earlier names of a queue: the first, and the latest.
const maxAliases = 16

func (g *graph) rename(v *vertex, name string) {
	old := v.name
	delete(g.vertices, v.vertexKey)
	v.name, v.queue.Name = name, name
	g.vertices[v.vertexKey] = v
	g.aliases[old] = v
	v.queue.aliases = append(v.queue.aliases, old)
	if a := v.queue.aliases; len(a) > maxAliases {
		delete(g.aliases, a[1])
		v.queue.aliases = append(a[:1], a[2:]...)
	}
}

// resolve returns the present name of a queue that was once named name.
func (g *graph) resolve(name string) string {
	if v := g.aliases[name]; v != nil && g.vertices[vertexKey{name: name, queue: true}] == nil {
		return v.name
	}
	return name
}

// binding returns the edge as a binding under present names.
func (e *edge) binding() topology.Binding {
	b := e.Binding
	b.Source, b.Destination = e.ends[source].name, e.ends[destination].name
	return b
}
