package channel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

// TestWithRabbitMQ runs what has to agree with a real broker, all on one that
// refuses a deprecated kind of queue by closing the connection.
func TestWithRabbitMQ(t *testing.T) {
	broker := dockertest.Run(t, docker.MainVersion, docker.Options{
		Conf: []string{"deprecated_features.permit.transient_nonexcl_queues = false"},
	})
	t.Run("an entity that closes the connection", func(t *testing.T) { testFatalOnRabbitMQ(t, broker) })
	t.Run("an exclusive queue of the last connection", func(t *testing.T) { testLockedOnRabbitMQ(t, broker) })
	t.Run("many exclusive queues, cut again and again", func(t *testing.T) { testManyLockedOnRabbitMQ(t, broker) })
	t.Run("an ack that times out", func(t *testing.T) { testAckTimeoutOnRabbitMQ(t, broker) })
	t.Run("a consumer whose queue is deleted", func(t *testing.T) { testEndedOnRabbitMQ(t, broker) })
	t.Run("cycles of declare, consume and cancel", func(t *testing.T) { testCyclesOnRabbitMQ(t, broker) })
	t.Run("soft errors and a restart", func(t *testing.T) { testRestartOfRabbitMQ(t, broker) })
}

// testFatalOnRabbitMQ: queues that an older broker took are recorded; this one
// closes the connection with 541 over two of them.
func testFatalOnRabbitMQ(t *testing.T, broker *docker.Broker) {
	r := record.NewRecorder()
	for _, q := range []topology.Queue{
		{Name: "good-1", Exclusive: true}, {Name: "bad-1", Transient: true}, {Name: "good-2"}, {Name: "bad-2", Transient: true}, {Name: "good-3", Exclusive: true},
	} {
		must(t, r.Queue(q, q.Name))
		must(t, r.Binding(topology.Binding{Source: "amq.topic", Destination: q.Name, RoutingKey: q.Name}))
	}
	c, j := rabbit(t, broker, session.Config{Recorder: r}, nil)
	s := c.State()
	got := sessiontest.Entities(s.Degraded)
	if s.Stage != recovery.StageConsumeReady || !strings.Contains(got, `queue "bad-1"`) || !strings.Contains(got, `queue "bad-2"`) || strings.Contains(got, "good") {
		t.Errorf("degraded: %s", got)
	}
	e := j.Of(recovery.EventQuarantined)[0]
	if refusal, ok := errs.AsType[*core.Error](e.Err); !ok || refusal.Code != core.ErrInternal || refusal.Scope != core.ScopeConnection {
		t.Errorf("event %v", e.Err)
	}
	t.Logf("%d connections; %v", s.Epoch, e.Err)
	ch, err := Open(t.Context(), c)
	must(t, err)
	must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
	for _, q := range []string{"good-1", "good-2", "good-3"} {
		confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{Exchange: "amq.topic", RoutingKey: q, Mandatory: true, Body: []byte(q)})
		must(t, err)
		v, err := confirm.Wait(t.Context())
		must(t, err)
		must(t, v.Err())
		if d, err := ch.Get(t.Context(), core.BasicGet{Queue: q, NoAck: true}); err != nil || d == nil || string(d.Body) != q {
			t.Errorf("get from %s: %v, %v", q, d, err)
		}
	}
	up := c.State().Epoch
	c.Reconnect(nil) // the next connection knows them, and loses nothing over them
	if s := awaitEpoch(t, c, up+1); s.Epoch != up+1 {
		t.Errorf("epoch %d after %d", s.Epoch, up)
	}
	if got := sessiontest.Entities(c.State().Degraded); !strings.Contains(got, `queue "bad-1"`) || !strings.Contains(got, `queue "bad-2"`) {
		t.Errorf("degraded: %s", got)
	}
}

// testLockedOnRabbitMQ: the broker holds the old connection, and with it the
// exclusive queue, until it misses heartbeats.
func testLockedOnRabbitMQ(t *testing.T, broker *docker.Broker) {
	var mu sync.Mutex // guards the following
	var last *halfOpen
	var dialled []net.Conn
	t.Cleanup(func() { // registered first, so that the connection is closed before its sockets are
		mu.Lock()
		defer mu.Unlock()
		for _, nc := range dialled {
			_ = nc.Close()
		}
	})
	r := record.NewRecorder()
	c, j := rabbit(t, broker, session.Config{Recorder: r}, func(e *core.Config) {
		e.Heartbeat = time.Second
		dial := e.DialContext
		e.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			mu.Lock()
			defer mu.Unlock()
			last, dialled = &halfOpen{Conn: nc}, append(dialled, nc)
			return last, nil
		}
	})
	ch, err := Open(t.Context(), c)
	must(t, err)
	declare(t, ch, core.QueueDeclare{Queue: "mine", Exclusive: true})
	must(t, ch.QueueBind(t.Context(), core.QueueBind{Queue: "mine", Exchange: "amq.topic", RoutingKey: "k"}))
	consume(t, ch, "mine", "tag")
	mu.Lock()
	last.breakOff()
	mu.Unlock()
	begun := time.Now()
	awaitEpoch(t, c, 2)
	await(t, c, recovery.State.Ready)
	t.Logf("ready after %s, tried %d times", time.Since(begun).Round(time.Millisecond), len(j.Of(recovery.EventQuarantined)))
	if e := j.Of(recovery.EventQuarantined); len(e) == 0 || !errors.Is(e[0].Err, core.ErrResourceLocked) {
		t.Errorf("events %v: the broker had given the queue up already", e)
	}
	if len(j.Of(recovery.EventRestored)) == 0 {
		t.Error("nothing was restored")
	}
}

// testManyLockedOnRabbitMQ: the broker takes its time to delete the queues of a
// connection that was reset; what is declared meanwhile is refused.
func testManyLockedOnRabbitMQ(t *testing.T, broker *docker.Broker) {
	const queues, cuts = 300, 3
	proxy, err := faultproxy.New(broker.Addr())
	must(t, err)
	t.Cleanup(proxy.Close)
	c, j := rabbit(t, broker, session.Config{Recorder: record.NewRecorder()}, func(e *core.Config) {
		e.Addr, e.CloseTimeout = proxy.Addr(), time.Minute // the broker deletes the queues before it answers
	})
	ch, err := Open(t.Context(), c)
	must(t, err)
	all := exclusive(t, ch, queues)
	for range cuts {
		epoch := c.State().Epoch
		refused := len(j.Of(recovery.EventQuarantined))
		proxy.Reset()
		begun := time.Now()
		awaitEpoch(t, c, epoch+1)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		err := c.Await(ctx, recovery.State.Ready)
		cancel()
		if err != nil {
			t.Fatalf("%v: %+v", err, c.State())
		}
		t.Logf("ready after %s, %d queues were held", time.Since(begun).Round(time.Millisecond), len(j.Of(recovery.EventQuarantined))-refused)
		roundTrips(t, ch, all)
	}
	if n := len(j.Of(recovery.EventConsumerLost)) + len(j.Of(recovery.EventChannelLost)); n > 0 {
		t.Errorf("%d consumers and channels were lost", n)
	}
	must(t, ch.Close(t.Context()))
}

// testAckTimeoutOnRabbitMQ: the broker takes a consumer away whose ack is late
// (basic.cancel since 4.3); it comes back under its tag.
func testAckTimeoutOnRabbitMQ(t *testing.T, broker *docker.Broker) {
	c, j := rabbit(t, broker, session.Config{Recorder: record.NewRecorder()}, nil)
	ch, err := Open(t.Context(), c)
	must(t, err)
	must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
	declare(t, ch, core.QueueDeclare{Queue: "slow", Durable: true, Arguments: core.Table{
		"x-queue-type": "quorum", "x-consumer-timeout": int32(3000),
	}})
	must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 10}))
	cons := consume(t, ch, "slow", "tag")
	send(t, ch, "slow", "m")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	late, err := cons.Receive(ctx)
	must(t, err)
	again, err := cons.Receive(ctx) // once it has been given up
	must(t, err)
	if err := late.Ack(); !errors.Is(err, core.ErrStale) {
		t.Errorf("the late ack: %v", err)
	}
	must(t, again.Ack())
	t.Logf("%d channels, %d consumers lost", len(j.Of(recovery.EventChannelLost)), len(j.Of(recovery.EventConsumerLost)))
	send(t, ch, "slow", "next")
	if d, err := cons.Receive(ctx); err != nil || string(d.Body) != "next" {
		t.Errorf("then %v, %v", d, err)
	}
}

// testCyclesOnRabbitMQ: what clients of request and reply do all day. Each of
// several channels declares, consumes and cancels, and all leave nothing behind:
// a thousand times in make test, ten thousand in make chaos.
func testCyclesOnRabbitMQ(t *testing.T, broker *docker.Broker) {
	r := record.NewRecorder()
	c, _ := rabbit(t, broker, session.Config{Recorder: r}, nil)
	const channels = 16
	cycles := 1000
	if os.Getenv("WARREN_CHAOS") == "all" {
		cycles = 10_000
	}
	begun := time.Now()
	var done atomic.Int64
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for i := range channels {
		ch, err := Open(t.Context(), c)
		must(t, err)
		all.Go(func() {
			for j := range cycles / channels { // names of their own: RabbitMQ deletes an unused exchange a little later
				if err := cycle(t.Context(), ch, fmt.Sprintf("cycle-%d-%d", i, j)); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
			if err := ch.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	t.Logf("%d cycles in %s", done.Load(), time.Since(begun).Round(time.Millisecond))
	if n := int(done.Load()); n != cycles/channels*channels {
		t.Errorf("%d cycles", n)
	}
	if n := r.Len(); n != 0 {
		t.Errorf("%d entities are recorded", n)
	}
	if n := runtime.NumGoroutine(); n > before+channels {
		t.Errorf("%d goroutines; there were %d", n, before)
	}
	for what, n := range map[string]int{"queues": len(listed(t, broker, "list_queues", "name")), "consumers": len(listed(t, broker, "list_consumers", "consumer_tag"))} {
		if n != 0 {
			t.Errorf("the broker has %d %s", n, what)
		}
	}
	for _, x := range listed(t, broker, "list_exchanges", "name") {
		if strings.HasPrefix(x, "cycle-") {
			t.Errorf("the broker has exchange %s", x)
		}
	}
}

// cycle declares an auto-delete exchange and queue and gives both up with the
// queue's only consumer.
func cycle(ctx context.Context, ch *Channel, x string) error {
	if err := ch.ExchangeDeclare(ctx, core.ExchangeDeclare{Exchange: x, Type: "fanout", AutoDelete: true}); err != nil {
		return err
	}
	if _, err := ch.QueueDeclare(ctx, core.QueueDeclare{AutoDelete: true, Exclusive: true}); err != nil {
		return err
	}
	if err := ch.QueueBind(ctx, core.QueueBind{Exchange: x}); err != nil {
		return err
	}
	cons, err := ch.Consume(ctx, core.BasicConsume{})
	if err != nil {
		return err
	}
	return cons.Cancel(ctx)
}

// TestAckTimeoutThatClosesTheChannel is how RabbitMQ until 4.2 takes a delivery
// back whose ack is late: it closes the channel with 406.
func TestAckTimeoutThatClosesTheChannel(t *testing.T) {
	broker := dockertest.Run(t, "4.0", docker.Options{Conf: []string{"consumer_timeout = 2000"}})
	// It looks for late acks once a minute, and has no setting for that.
	_, err := broker.Exec(t.Context(), "rabbitmqctl", "eval", "application:set_env(rabbit, channel_tick_interval, 1000).")
	must(t, err)
	c, j := rabbit(t, broker, session.Config{Recorder: record.NewRecorder()}, nil)
	ch, err := Open(t.Context(), c)
	must(t, err)
	must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
	must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 10}))
	q := declare(t, ch, core.QueueDeclare{Queue: "slow", Durable: true})
	cons := consume(t, ch, q, "tag")
	send(t, ch, q, "m")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	late, err := cons.Receive(ctx)
	must(t, err)
	again, err := cons.Receive(ctx) // once it has been taken back
	must(t, err)
	if err := late.Ack(); !errors.Is(err, core.ErrStale) {
		t.Errorf("the late ack: %v", err)
	}
	must(t, again.Ack())
	if e := j.Last(t, recovery.EventChannelLost); !errors.Is(e.Err, core.ErrAckTimeout) || len(j.Of(recovery.EventLost)) != 0 {
		t.Errorf("lost the channel of %v, connections %v", e.Err, j.Of(recovery.EventLost))
	}
	send(t, ch, q, "next")
	if got := receive(t, cons); got != "next" || cons.Tag() != "tag" {
		t.Errorf("received %q", got)
	}
}

// testEndedOnRabbitMQ: the queue is not the client's, and so does not come back.
func testEndedOnRabbitMQ(t *testing.T, broker *docker.Broker) {
	c, j := rabbit(t, broker, session.Config{Config: recovery.Config{Semantic: recovery.Budget{Attempts: 2}}}, nil)
	foreign(t, &bed{conn: c}, "theirs")
	ch, err := Open(t.Context(), c)
	must(t, err)
	cons := consume(t, ch, "theirs", "tag")
	s, err := c.Session(t.Context())
	must(t, err)
	other, err := s.Conn.Channel(t.Context()) // as somebody else
	must(t, err)
	_, err = other.QueueDelete(t.Context(), core.QueueDelete{Queue: "theirs"})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := cons.Receive(ctx); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("ended with %v, in state %+v after %+v", err, c.State(), j.All())
	}
	<-cons.Done()
	if e := j.Of(recovery.EventConsumerEnded); len(e) != 1 || !errors.Is(e[0].Err, core.ErrNotFound) || e[0].Entity != cons.String() {
		t.Errorf("events %v", e)
	}
}

func testRestartOfRabbitMQ(t *testing.T, broker *docker.Broker) {
	r := record.NewRecorder()
	c, j := rabbit(t, broker, session.Config{Recorder: r}, nil)
	ch, err := Open(t.Context(), c)
	must(t, err)
	must(t, ch.Confirm(t.Context(), core.ConfirmSelect{}))
	must(t, ch.ExchangeDeclare(t.Context(), core.ExchangeDeclare{Exchange: "x", Type: "topic"}))
	first := declare(t, ch, core.QueueDeclare{Exclusive: true})
	must(t, ch.QueueBind(t.Context(), core.QueueBind{Exchange: "x", RoutingKey: "k"}))
	cons := consume(t, ch, "", "tag")
	round := func(body string) {
		t.Helper()
		confirm, err := ch.PublishConfirm(t.Context(), &core.Publishing{Exchange: "x", RoutingKey: "k", Mandatory: true, Body: []byte(body)})
		must(t, err)
		v, err := confirm.Wait(t.Context())
		must(t, err)
		must(t, v.Err())
		if got := receive(t, cons); got != body {
			t.Errorf("received %q; want %q", got, body)
		}
	}
	round("one")
	if _, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "missing", Passive: true}); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("a missing queue: %v", err)
	}
	if _, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "amq.reserved"}); !errors.Is(err, core.ErrAccessRefused) {
		t.Errorf("a reserved name: %v", err)
	}
	round("two")
	must(t, broker.Kill(t.Context()))
	must(t, broker.Start(t.Context()))
	awaitEpoch(t, c, 2)
	await(t, c, recovery.State.Ready)
	round("three")
	if now := c.Resolve(first); now == first || j.Last(t, recovery.EventRenamed).Name != now {
		t.Errorf("the queue is still called %s", now)
	}
	t.Log(j.Last(t, recovery.EventRecovered).Report)
}

// rabbit returns a connection to the broker, connected within half a minute.
func rabbit(t *testing.T, broker *docker.Broker, cfg session.Config, change func(*core.Config)) (*session.Connection, *sessiontest.Journal) {
	t.Helper()
	endpoint := core.Config{Addr: broker.Addr(), DialContext: (&net.Dialer{}).DialContext}
	if change != nil {
		change(&endpoint)
	}
	c, j := start(t, cfg, endpoint)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	must(t, c.Connect(ctx))
	return c, j
}

func await(t *testing.T, c *session.Connection, ok func(recovery.State) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := c.Await(ctx, ok); err != nil {
		t.Fatalf("%v: %+v", err, c.State())
	}
}

// halfOpen is a socket that fails on this side and stays open on the other.
type halfOpen struct {
	net.Conn
	broken atomic.Bool
}

func (h *halfOpen) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if h.broken.Load() {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func (h *halfOpen) Write(p []byte) (int, error) {
	if h.broken.Load() {
		return 0, io.ErrClosedPipe
	}
	return h.Conn.Write(p)
}

func (h *halfOpen) Close() error {
	if h.broken.Load() {
		return nil
	}
	return h.Conn.Close()
}

func (h *halfOpen) breakOff() {
	h.broken.Store(true)
	_ = h.SetReadDeadline(time.Unix(1, 0))
}

// listed returns what rabbitmqctl lists of the test's own.
func listed(t *testing.T, broker *docker.Broker, what, column string) []string {
	t.Helper()
	out, err := broker.Exec(t.Context(), "rabbitmqctl", "--silent", what, "--no-table-headers", column)
	must(t, err)
	var mine []string
	for name := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(name, "amq.gen-") || strings.HasPrefix(name, "amq.ctag-") || strings.HasPrefix(name, "cycle-") {
			mine = append(mine, name)
		}
	}
	return mine
}
