package session

import (
	"errors"

	"github.com/warren-mq/warren/core"
)

var errNoEndpoint = errors.New("the resolver returned no endpoint")

// rotation picks endpoints so that the one tried longest ago comes first, and
// among those never tried the most preferred. It remembers addresses, not
// positions, since the list may change between attempts.
type rotation struct {
	turn  uint64
	tried map[place]uint64 // the turn at which it was tried last
}

// place is the nth endpoint with this address.
type place struct {
	addr string
	nth  int
}

func (r *rotation) next(list []core.Config) core.Config {
	before, seen := r.tried, map[string]int{}
	r.tried = make(map[place]uint64, len(list)) // forgets what left the list
	best, at := 0, place{}
	for i, e := range list {
		p := place{e.Addr, seen[e.Addr]}
		seen[e.Addr]++
		r.tried[p] = before[p]
		if i == 0 || r.tried[p] < r.tried[at] {
			best, at = i, p
		}
	}
	r.turn++
	r.tried[at] = r.turn
	return list[best]
}

// favour has the endpoints at addr tried next.
func (r *rotation) favour(addr string) {
	for p := range r.tried {
		if p.addr == addr {
			r.tried[p] = 0
		} else {
			r.tried[p] = max(r.tried[p], 1) // behind it
		}
	}
}

// settle forgets all attempts but the last: after a long time with one
// endpoint, preference counts again.
func (r *rotation) settle() {
	for p, turn := range r.tried {
		if turn != r.turn {
			delete(r.tried, p)
		}
	}
}
