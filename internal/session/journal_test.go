package session

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/warren-mq/warren/recovery"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
)

// journal keeps the events of a connection, and when it was dialled.
type journal struct {
	mu     sync.Mutex // guards the following
	events []recovery.Event
	dials  []time.Time
	addrs  []string
}

func (j *journal) emit(e recovery.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// of returns the events of a kind so far.
func (j *journal) of(k recovery.EventKind) []recovery.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []recovery.Event
	for _, e := range j.events {
		if e.Kind == k {
			all = append(all, e)
		}
	}
	return all
}

// all returns the events so far.
func (j *journal) all() []recovery.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.events)
}

// last returns the last event of a kind.
func (j *journal) last(t *testing.T, k recovery.EventKind) recovery.Event {
	t.Helper()
	all := j.of(k)
	if len(all) == 0 {
		t.Fatalf("no event %q", k)
	}
	return all[len(all)-1]
}

func (j *journal) dialled() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.addrs)
}

func (j *journal) times() []time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.dials)
}

// watched returns endpoints whose dials the journal notes.
func (j *journal) watched(list ...core.Config) []core.Config {
	list = slices.Clone(list)
	for i := range list {
		dial := list[i].DialContext
		list[i].DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			j.mu.Lock()
			j.dials, j.addrs = append(j.dials, time.Now()), append(j.addrs, addr)
			j.mu.Unlock()
			return dial(ctx, network, addr)
		}
	}
	return list
}

// at is an endpoint at which perhaps nobody listens.
func at(n *memnet.Network, addr string) core.Config {
	return (&server{addr: addr, network: n}).endpoint()
}

// refusePassword is a script that refuses every login.
func refusePassword(p *peer, _ uint16, m wire.Method) bool {
	if _, ok := m.(*wire.ConnectionStartOk); !ok {
		return false
	}
	p.send(0, &wire.ConnectionClose{ReplyCode: uint16(core.ErrAccessRefused), ReplyText: "ACCESS_REFUSED"})
	return true
}

// silent is a script that answers nothing.
func silent(*peer, uint16, wire.Method) bool { return true }
