package recovery

import "github.com/warren-mq/warren/core"

// rotation walks through the endpoints so that the one that failed last comes
// last. It remembers addresses, not positions, since the list may change.
type rotation struct{ last string }

// next returns the endpoint after the one tried last.
func (r *rotation) next(list []core.Config) core.Config {
	at := 0
	for i, e := range list {
		if e.Addr == r.last {
			at = (i + 1) % len(list)
			break
		}
	}
	r.last = list[at].Addr
	return list[at]
}
