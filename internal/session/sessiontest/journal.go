package sessiontest

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/recovery"
)

// Journal keeps the events of a connection, and when it was dialled.
type Journal struct {
	mu     sync.Mutex // guards the following
	events []recovery.Event
	dials  []time.Time
	addrs  []string
}

// Emit notes an event.
func (j *Journal) Emit(e recovery.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// Of returns the events of a kind so far.
func (j *Journal) Of(k recovery.EventKind) []recovery.Event {
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

// All returns the events so far.
func (j *Journal) All() []recovery.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.events)
}

// Last returns the last event of a kind.
func (j *Journal) Last(t *testing.T, k recovery.EventKind) recovery.Event {
	t.Helper()
	all := j.Of(k)
	if len(all) == 0 {
		t.Fatalf("no event %q", k)
	}
	return all[len(all)-1]
}

// Dialled returns the addresses that were dialled, in order.
func (j *Journal) Dialled() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.addrs)
}

// Times returns when they were.
func (j *Journal) Times() []time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.dials)
}

// Watched returns endpoints whose dials the journal notes.
func (j *Journal) Watched(list ...core.Config) []core.Config {
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

// At is an endpoint at which perhaps nobody listens.
func At(n *memnet.Network, addr string) core.Config {
	return (&Server{addr: addr, network: n}).Endpoint()
}

// RefusePassword is a script that refuses every login.
func RefusePassword(p *Peer, _ uint16, m wire.Method) bool {
	if _, ok := m.(*wire.ConnectionStartOk); !ok {
		return false
	}
	p.Send(0, &wire.ConnectionClose{ReplyCode: uint16(core.ErrAccessRefused), ReplyText: "ACCESS_REFUSED"})
	return true
}

// Silent is a script that answers nothing.
func Silent(*Peer, uint16, wire.Method) bool { return true }

// Clear forgets the events so far.
func (j *Journal) Clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = nil
}
