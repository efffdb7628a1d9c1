package brokertest

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren/brokertest/internal/state"
)

// Broker is a broker in memory. All methods are safe for concurrent use.
type Broker struct {
	config
	running   sync.WaitGroup // goroutines
	filtering atomic.Bool    // the writers look at each frame
	making    sync.Once      // of the following
	made      *tls.Config

	mu        sync.Mutex // guards the following, and what the connections say it guards
	vhosts    map[string]*state.VHost
	conns     []*conn // in the order of their opening
	due       []*conn // whose writer is to be woken
	nextConn  int
	random    *rand.Rand  // of names
	chance    *rand.Rand  // of Sometimes
	timer     *time.Timer // of what happens by itself
	timeoutAt time.Time   // when the next delivery times out, or earlier
	listener  net.Listener
	addr      string // of the listener, also while it is closed
	closed    bool
	down      bool   // stopped, or refuses connections
	blocked   string // why publishes are not accepted
	unblocked chan struct{}
	denied    map[string]bool // users who cannot log in

	receiving   []*Hook // a change makes a new slice
	sending     []*Hook // likewise
	connecting  []func(*Link)
	abandoned   []net.Conn       // sockets of connections that are half open
	transcripts map[int][]string // by connection
}

// New returns a running broker that ends with the test.
func New(t testing.TB, opts ...Option) *Broker {
	t.Helper()
	b := NewBroker(opts...)
	t.Cleanup(b.Close)
	return b
}

// NewBroker is [New] for where there is no test. The caller calls [Broker.Close].
func NewBroker(opts ...Option) *Broker {
	b := &Broker{config: defaults(), vhosts: map[string]*state.VHost{}, denied: map[string]bool{},
		transcripts: map[int][]string{}}
	for _, o := range opts {
		o(&b.config)
	}
	for _, u := range b.users {
		u.terse = b.before40()
	}
	b.filter()
	slices.Sort(b.config.vhosts) // in one order, whatever the run
	b.config.vhosts = slices.Compact(b.config.vhosts)
	b.random, b.chance = rand.New(rand.NewPCG(b.seed, 0)), rand.New(rand.NewPCG(b.seed, 1))
	for _, name := range b.config.vhosts {
		b.vhosts[name] = b.newVHost(name)
	}
	return b
}

func (b *Broker) newVHost(name string) *state.VHost {
	v := state.NewVHost(name, time.Now, b.newName)
	v.Before43, v.Before40 = b.before43(), b.before40()
	v.Delays = b.delays
	return v
}

// Close ends all connections, without a word to the clients, and waits until the broker's goroutines have
// ended. It may be called more than once.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	b.refuse()
	if b.timer != nil {
		b.timer.Stop()
	}
	b.kill(every, (*Link).hangUp)
	abandoned := b.abandoned
	b.mu.Unlock()
	for _, nc := range abandoned {
		_ = nc.Close()
	}
	b.running.Wait()
}

// newName makes up a name, as RabbitMQ does of 16 octets. Caller holds mu.
func (b *Broker) newName(prefix string) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], b.random.Uint64())
	binary.BigEndian.PutUint64(id[8:], b.random.Uint64())
	return prefix + base64.RawURLEncoding.EncodeToString(id[:])
}

// settle does what follows from the last changes: deliveries, dead letters, timers. Caller holds mu.
func (b *Broker) settle() {
	for _, name := range b.config.vhosts {
		b.vhosts[name].Settle()
	}
	b.arm()
}

// arm sets the timer for what happens next by itself. Caller holds mu.
func (b *Broker) arm() {
	var next time.Time
	for _, v := range b.vhosts {
		if t := v.Next(); !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if t := b.timeoutAt; !t.IsZero() && (next.IsZero() || t.Before(next)) {
		next = t
	}
	switch {
	case next.IsZero() || b.closed:
	case b.timer == nil:
		b.timer = time.AfterFunc(time.Until(next), b.tick)
	default:
		b.timer.Reset(time.Until(next))
	}
}

// tick is called by the timer.
func (b *Broker) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	for _, name := range b.config.vhosts {
		b.vhosts[name].Tick()
	}
	b.timeOut()
	b.settle()
	b.wake()
}

// wake has the writers take what there is to write. Caller holds mu.
func (b *Broker) wake() {
	for i, c := range b.due {
		b.due[i] = nil
		c.due = false
		select {
		case c.bell <- struct{}{}:
		default: // it is awake
		}
	}
	b.due = b.due[:0]
}
