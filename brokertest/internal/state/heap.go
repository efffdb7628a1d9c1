package state

// heap holds messages so that the one with the lowest position is at hand, in whatever order they come: each
// stands behind the one at half its index.
type heap []*Entry

func (h heap) peek() *Entry {
	if len(h) == 0 {
		return nil
	}
	return h[0]
}

func (h *heap) push(e *Entry) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		parent := (i - 1) / 2
		if s[parent].position <= s[i].position {
			return
		}
		s[parent], s[i] = s[i], s[parent]
		i = parent
	}
}

func (h *heap) pop() *Entry {
	s := *h
	if len(s) == 0 {
		return nil
	}
	e, last := s[0], len(s)-1
	s[0], s[last] = s[last], nil
	s = s[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < len(s) && s[child+1].position < s[child].position {
			child++
		}
		if child >= len(s) || s[i].position <= s[child].position {
			break
		}
		s[i], s[child] = s[child], s[i]
		i = child
	}
	*h = s
	return e
}
