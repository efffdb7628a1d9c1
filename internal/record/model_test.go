package record_test

import (
	"reflect"
	"slices"

	"github.com/warren-mq/warren/topology"
)

// model is what a recorder should hold, in the simplest way that can be
// written down: lists, searched from end to end.
type model struct {
	exchanges []topology.Exchange
	queues    []topology.Queue
	bindings  []topology.Binding
	consumers map[string]int
	names     map[string]string // earlier name → present one
}

func newModel() *model { return &model{consumers: map[string]int{}, names: map[string]string{}} }

func (m *model) resolve(name string) string {
	if now, ok := m.names[name]; ok && m.queue(name) < 0 {
		return now
	}
	return name
}

func (m *model) exchange(name string) int {
	return slices.IndexFunc(m.exchanges, func(e topology.Exchange) bool { return e.Name == name })
}

func (m *model) queue(name string) int {
	return slices.IndexFunc(m.queues, func(q topology.Queue) bool { return q.Name == name })
}

func (m *model) declareExchange(e topology.Exchange) {
	if i := m.exchange(e.Name); i >= 0 {
		m.exchanges[i] = e
		return
	}
	m.exchanges = append(m.exchanges, e)
}

func (m *model) declareQueue(q topology.Queue, name string) {
	q.Name = name
	if i := m.queue(name); i >= 0 {
		m.queues[i] = q
		return
	}
	m.queues = append(m.queues, q)
}

func (m *model) bind(b topology.Binding) {
	b = m.present(b)
	if !slices.ContainsFunc(m.bindings, func(o topology.Binding) bool { return reflect.DeepEqual(o, b) }) {
		m.bindings = append(m.bindings, b)
	}
}

func (m *model) present(b topology.Binding) topology.Binding {
	if !b.ToExchange {
		b.Destination = m.resolve(b.Destination)
	}
	return b
}

func (m *model) unbind(match func(topology.Binding) bool) {
	for {
		i := slices.IndexFunc(m.bindings, match)
		if i < 0 {
			return
		}
		from := m.bindings[i].Source
		m.bindings = slices.Delete(m.bindings, i, i+1)
		j := m.exchange(from)
		if j >= 0 && m.exchanges[j].AutoDelete &&
			!slices.ContainsFunc(m.bindings, func(b topology.Binding) bool { return b.Source == from }) {
			m.deleteExchange(from)
		}
	}
}

func (m *model) deleteExchange(name string) {
	if i := m.exchange(name); i >= 0 {
		m.exchanges = slices.Delete(m.exchanges, i, i+1)
	}
	m.unbind(func(b topology.Binding) bool { return b.Source == name || b.ToExchange && b.Destination == name })
}

func (m *model) deleteQueue(name string) {
	name = m.resolve(name)
	if i := m.queue(name); i >= 0 {
		m.queues = slices.Delete(m.queues, i, i+1)
	}
	delete(m.consumers, name)
	for old, present := range m.names {
		if present == name {
			delete(m.names, old)
		}
	}
	m.unbind(func(b topology.Binding) bool { return !b.ToExchange && b.Destination == name })
}

func (m *model) consume(name string) {
	if name = m.resolve(name); m.queue(name) >= 0 {
		m.consumers[name]++
	}
}

func (m *model) cancel(name string) {
	name = m.resolve(name)
	i := m.queue(name)
	if i < 0 {
		return
	}
	m.consumers[name] = max(0, m.consumers[name]-1)
	if m.queues[i].AutoDelete && m.consumers[name] == 0 {
		m.deleteQueue(name)
	}
}

func (m *model) rename(old, name string) {
	i := m.queue(old)
	if i < 0 {
		return
	}
	m.queues[i].Name = name
	m.consumers[name] = m.consumers[old]
	delete(m.consumers, old)
	for j, b := range m.bindings {
		if !b.ToExchange && b.Destination == old {
			m.bindings[j].Destination = name
		}
	}
	for earlier, present := range m.names {
		if present == old {
			m.names[earlier] = name
		}
	}
	m.names[old] = name
}

func (m *model) snapshot() topology.Topology {
	return topology.Topology{Exchanges: m.exchanges, Queues: m.queues, Bindings: m.bindings}
}
