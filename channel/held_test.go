package channel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// half makes every connection of a bed one that fails on the client's side
// alone with breakOff; end ends the broker's side.
type half struct {
	*bed
	client  atomic.Pointer[halfOpen]
	broker  atomic.Pointer[brokertest.Link]
	mu      sync.Mutex // guards sockets
	sockets []net.Conn
}

func newHalf(t *testing.T, cfg session.Config) *half {
	t.Helper()
	h := &half{bed: &bed{Broker: brokertest.New(t), recorder: record.NewRecorder()}}
	h.OnConnect(func(l *brokertest.Link) { h.broker.Store(l) })
	t.Cleanup(func() { // after the connection has been closed in order
		for _, nc := range h.sockets {
			_ = nc.Close()
		}
	})
	cfg.Recorder = h.recorder
	h.conn, h.journal = connected(t, cfg, core.Config{
		Addr: "broker:5672", Heartbeat: 10 * time.Second,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := h.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			client := &halfOpen{Conn: nc}
			h.client.Store(client)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.sockets = append(h.sockets, nc)
			return client, nil
		},
	})
	return h
}

// breakOff loses the connection, and returns what ends it at the broker.
func (h *half) breakOff(t *testing.T) (end func()) {
	t.Helper()
	epoch := h.conn.State().Epoch
	old := h.broker.Load()
	h.client.Load().breakOff()
	awaitEpoch(t, h.conn, epoch+1)
	synctest.Wait()
	return old.Reset
}

// exclusive declares n exclusive queues, each bound and consumed.
func exclusive(t *testing.T, ch *Channel, n int) (all []*Consumer) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("mine-%d", i)
		declare(t, ch, core.QueueDeclare{Queue: name, Exclusive: true})
		must(t, ch.QueueBind(t.Context(), core.QueueBind{Queue: name, Exchange: "amq.topic", RoutingKey: name}))
		all = append(all, consume(t, ch, name, name))
	}
	return all
}

// roundTrips sends a message through each binding, and receives it.
func roundTrips(t *testing.T, ch *Channel, all []*Consumer) {
	t.Helper()
	for _, c := range all {
		must(t, ch.Publish(t.Context(), &core.Publishing{Exchange: "amq.topic", RoutingKey: c.Tag(), Body: []byte(c.Tag())}))
		if got := receive(t, c); got != c.Tag() {
			t.Fatalf("%s received %q", c.Tag(), got)
		}
	}
}

func TestExclusiveQueuesHeldForTheLostConnectionComeBackTogether(t *testing.T) {
	const n = 300
	for _, held := range []time.Duration{0, 10 * time.Millisecond, 300 * time.Millisecond, 20 * time.Second} {
		t.Run(held.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHalf(t, session.Config{Config: recovery.Config{StableAfter: time.Second}})
				ch, calm := h.channel(t), h.channel(t)
				all := exclusive(t, ch, n)
				declare(t, calm, core.QueueDeclare{Queue: "durable", Durable: true})
				must(t, calm.QueueBind(t.Context(), core.QueueBind{Queue: "durable", Exchange: "amq.topic", RoutingKey: "other"}))
				other := consume(t, calm, "durable", "other")
				roundTrips(t, ch, append(all, other))
				time.Sleep(time.Minute)
				closed := refusals(h.Broker)
				end := h.breakOff(t)
				lost := time.Now()
				if s := h.conn.State(); s.Stage != recovery.StagePublishReady || len(s.Degraded) != n {
					t.Errorf("stage %v, %d degraded while the queues are held", s.Stage, len(s.Degraded))
				}
				if got := strings.Count(" "+tags(h.Broker), " other"); got != 2 { // one is left on the lost connection
					t.Errorf("%d consumers of the durable queue, which does not wait for them", got)
				}
				time.Sleep(held)
				end()
				h.ready(t)
				if late := time.Since(lost) - held; late > time.Second || held < time.Second && late > held+25*time.Millisecond {
					t.Errorf("ready %s after the broker has given them up", late)
				}
				if got := closed.Hits(); got > 8+int(held/time.Second) {
					t.Errorf("%d channels were closed", got)
				}
				roundTrips(t, ch, append(all, other))
				if q, r := len(h.journal.Of(recovery.EventQuarantined)), len(h.journal.Of(recovery.EventRestored)); q < n || r != n {
					t.Errorf("%d quarantined, %d restored; want %d", q, r, n)
				}
				if got := len(h.journal.Of(recovery.EventConsumerLost)) + len(h.journal.Of(recovery.EventChannelLost)); got > 0 {
					t.Errorf("%d consumers and channels were lost", got)
				}
			})
		})
	}
}

// TestHeldQueuesAreBackOnlyWithTheirBindings: nobody is told that they are before messages reach them.
func TestHeldQueuesAreBackOnlyWithTheirBindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, session.Config{Config: recovery.Config{StableAfter: time.Second}})
		ch := h.channel(t)
		declare(t, ch, core.QueueDeclare{Queue: "mine", Exclusive: true})
		must(t, ch.QueueBind(t.Context(), core.QueueBind{Queue: "mine", Exchange: "amq.topic", RoutingKey: "k"}))
		time.Sleep(time.Minute)
		end := h.breakOff(t)
		slow := h.OnReceive(wire.MethodQueueBind, brokertest.Always(brokertest.Delay(time.Second)))
		end()
		h.ready(t)
		if n := len(h.Bindings()); n != 1 || slow.Hits() != 1 {
			t.Errorf("ready with %d bindings, %d asked for; want 1", n, slow.Hits())
		}
	})
}

func TestAQueueThatSomebodyElseHoldsKeepsNoOtherWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 40
		h := newHalf(t, session.Config{Config: recovery.Config{StableAfter: time.Second}})
		ch := h.channel(t)
		all := exclusive(t, ch, n)
		end := h.breakOff(t)
		end()
		synctest.Wait()
		thief, err := core.Dial(t.Context(), core.Config{Addr: "broker:5672", DialContext: h.DialContext})
		must(t, err)
		taken, err := thief.Channel(t.Context())
		must(t, err)
		for _, name := range []string{"mine-0", "mine-1", "mine-7"} {
			_, err := taken.QueueDeclare(t.Context(), core.QueueDeclare{Queue: name, Exclusive: true})
			must(t, err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s := h.conn.State(); len(s.Degraded) != 3 || s.Stage != recovery.StagePublishReady {
			t.Errorf("state %v, %s", s.Stage, sessiontest.Entities(s.Degraded))
		}
		roundTrips(t, ch, all[10:])
		time.Sleep(10 * time.Minute)
		must(t, thief.Close(t.Context()))
		freed := time.Now()
		h.ready(t)
		if late := time.Since(freed); late > 2*time.Second {
			t.Errorf("ready %s after they were free", late)
		}
		roundTrips(t, ch, all)
	})
}

func TestAHeldQueueMayBeDeletedByTheApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, session.Config{Config: recovery.Config{StableAfter: time.Second}})
		ch := h.channel(t)
		all := exclusive(t, ch, 20)
		end := h.breakOff(t)
		h.recorder.DeleteQueue("mine-3")
		must(t, all[3].Cancel(t.Context()))
		end()
		h.ready(t)
		if _, there := h.Queue("mine-3"); there {
			t.Error("a deleted queue came back")
		}
		roundTrips(t, ch, append(all[:3], all[4:]...))
	})
}

// TestManyCutsOfExclusiveQueues: nothing hangs, no consumer is missing.
func TestManyCutsOfExclusiveQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, session.Config{Config: recovery.Config{StableAfter: time.Second}})
		ch := h.channel(t)
		all := exclusive(t, ch, 50)
		for i := range 30 {
			end := h.breakOff(t)
			if i%3 == 0 { // lost again while they are held
				again := h.breakOff(t)
				time.AfterFunc(time.Duration(i)*7*time.Millisecond, again)
			}
			time.AfterFunc(time.Duration(i)*5*time.Millisecond, end)
			h.ready(t)
			roundTrips(t, ch, all)
			time.Sleep(2 * time.Second)
		}
	})
}

// A queue that came free just before the connection died is held again, on the next one, until it comes free there.
func TestAQueueFreedOnALostConnectionIsHeldOnTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		mine := []topology.Queue{{Name: "one", Exclusive: true}, {Name: "two", Exclusive: true}}
		c, j := connected(t, session.Config{Recorder: sessiontest.Recorded(t, mine...)}, a.Endpoint())
		var free atomic.Bool
		tries := 0
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			d, ok := m.(*wire.QueueDeclare)
			if !ok || free.Load() {
				return false
			}
			if p.Number == 2 && d.Queue == "one" {
				tries++
			}
			switch {
			case p.Number == 2 && tries == 2 && d.Queue == "one":
				return false // free
			case p.Number == 2 && tries == 2:
				time.Sleep(10 * time.Millisecond)
				p.NC.Reset()
				return true
			}
			return p.Refuse(channel, m, core.ErrResourceLocked, "RESOURCE_LOCKED")
		})
		a.Drop()
		awaitEpoch(t, c, 3)
		a.Received()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if binds, restored := a.Count("queue.bind"), len(j.Of(recovery.EventRestored)); binds != 0 || restored != 0 || len(c.State().Degraded) != 2 {
			t.Errorf("%d bindings tried, %d restored, degraded %s; want both queues held", binds, restored, sessiontest.Entities(c.State().Degraded))
		}
		free.Store(true)
		must(t, c.Await(t.Context(), recovery.State.Ready))
		if n := a.Count("queue.bind"); n != 2 {
			t.Errorf("%d bindings when they came free; want 2", n)
		}
	})
}

// The consumer of a queue that is no longer held is started, however that came about.
func TestTheConsumerOfAQueueThatIsRefusedOtherwiseIsStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, session.Config{Config: recovery.Config{StableAfter: time.Second}})
		ch := h.channel(t)
		all := exclusive(t, ch, 1)
		end := h.breakOff(t)
		h.OnReceive(wire.MethodQueueDeclare, brokertest.Nth(1, brokertest.Refuse(403, "ACCESS_REFUSED")))
		end()
		h.ready(t)
		if e := h.journal.Last(t, recovery.EventQuarantined); !errors.Is(e.Err, core.ErrAccessRefused) {
			t.Errorf("refused at last with %v; want 403", e.Err)
		}
		roundTrips(t, ch, all)
	})
}

// Own queues that are refused for another reason than a lock keep no other waiting, however many they are.
func TestManyOwnQueuesRefusedOtherwiseKeepNoneWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			d, ok := m.(*wire.QueueDeclare)
			return ok && strings.HasPrefix(d.Queue, "bad") && p.Refuse(channel, m, core.ErrAccessRefused, "ACCESS_REFUSED")
		})
		var all []topology.Queue
		for i := range 4 * 8 {
			name := "good"
			if i%2 == 1 {
				name = "bad"
			}
			all = append(all, topology.Queue{Name: fmt.Sprint(name, i), Exclusive: true})
		}
		c, _ := connected(t, session.Config{Recorder: sessiontest.Recorded(t, all...)}, a.Endpoint())
		tried := map[string]bool{}
		for _, m := range a.Received() {
			tried[strings.TrimPrefix(m, "queue.declare ")] = true
		}
		for _, q := range all {
			if !tried[q.Name] {
				t.Errorf("%s was not tried", q.Name)
			}
		}
		if s := c.State(); len(s.Degraded) != len(all)/2 || strings.Contains(sessiontest.Entities(s.Degraded), "good") {
			t.Errorf("degraded: %s", sessiontest.Entities(s.Degraded))
		}
	})
}

// refusals counts the channels that the broker closes.
func refusals(b *brokertest.Broker) *brokertest.Hook {
	return b.OnSend(wire.MethodChannelClose, brokertest.Always(brokertest.Pass))
}
