package state

import "slices"

// Route returns the queues that a message published to x goes to, each once. The slice is good until the
// next call.
func (v *VHost) Route(x *Exchange, m *Message) []*Queue {
	v.routes = v.routes[:0]
	if x.Name == "" {
		v.routeDefault(m)
		return v.routes
	}
	seen := []*Exchange{x}
	for i := 0; i < len(seen); i++ {
		if hits := v.follow(seen[i], m, &seen); hits == 0 {
			v.alternate(seen[i], &seen)
		}
	}
	return v.routes
}

func (v *VHost) routeDefault(m *Message) {
	v.foundByName(m.Key)
	for _, key := range m.MoreKeys {
		v.foundByName(key)
	}
}

func (v *VHost) foundByName(name string) {
	if q := v.queues[name]; q != nil {
		v.found(q)
		return
	}
	v.found(v.replies[name])
}

// found adds a queue to the route, once.
func (v *VHost) found(q *Queue) {
	if q != nil && !slices.Contains(v.routes, q) {
		v.routes = append(v.routes, q)
	}
}

// follow goes along the bindings of x that match and returns their number. What x delays finds nothing for now.
func (v *VHost) follow(x *Exchange, m *Message, seen *[]*Exchange) int {
	hits := 0
	if x.Type == Delayed && v.delay(x, m) {
		return hits
	}
	take := func(b *Binding) {
		hits++
		if b.Queue != nil {
			v.found(b.Queue)
		} else {
			addExchange(b.Exchange, seen)
		}
	}
	switch x.kind {
	case Fanout:
		for _, b := range x.bindings {
			take(b)
		}
	case Headers:
		headers := m.Headers()
		for _, b := range x.bindings {
			if b.header.matches(headers) {
				take(b)
			}
		}
	default:
		followKey(x, m.Key, take)
		for _, key := range m.MoreKeys {
			followKey(x, key, take)
		}
	}
	return hits
}

func followKey(x *Exchange, key string, take func(*Binding)) {
	if x.kind == Direct {
		for _, b := range x.byKey[key] {
			take(b)
		}
		return
	}
	split := words(key)
	for _, b := range x.bindings {
		if matchTopic(b.topic, split) {
			take(b)
		}
	}
}

// alternate goes to the alternate exchange of x, which has found nothing.
func (v *VHost) alternate(x *Exchange, seen *[]*Exchange) {
	if x.alt != "" {
		addExchange(v.exchanges[x.alt], seen)
	}
}

func addExchange(x *Exchange, seen *[]*Exchange) {
	if x != nil && !slices.Contains(*seen, x) {
		*seen = append(*seen, x)
	}
}
