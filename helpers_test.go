package warren_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
)

// env is a broker in memory in a bubble of fake time. Goroutines that are left
// when the test ends fail it.
type env struct {
	*testing.T
	broker *brokertest.Broker
	ctx    context.Context

	mu    sync.Mutex // guards the following
	dials []time.Time
}

func inBubble(t *testing.T, test func(e *env), opts ...brokertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &env{T: t, broker: brokertest.New(t, opts...), ctx: t.Context()}
		defer e.broker.Close()
		test(e)
	})
}

func (e *env) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	e.mu.Lock()
	e.dials = append(e.dials, time.Now())
	e.mu.Unlock()
	return e.broker.DialContext(ctx, network, addr)
}

func (e *env) dialled() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.dials)
}

// resetDials returns when the broker was dialled since the last reset.
func (e *env) resetDials() []time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	dials := e.dials
	e.dials = nil
	return dials
}

// overMemory has a client reach the broker without a socket.
func (e *env) overMemory() warren.Option {
	return warren.WithConnection(func(c *core.Config) { c.DialContext = e.dialContext })
}

const url = "amqp://guest:guest@broker"

// dial returns a client, which is closed when the test ends.
func (e *env) dial(opts ...warren.Option) *warren.Client {
	e.Helper()
	client, err := warren.Dial(e.ctx, url, append(opts, e.overMemory())...)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = client.Close(ctx) // most tests have closed it
	})
	return client
}

func (e *env) declare(client *warren.Client, t warren.Topology) warren.Declaration {
	e.Helper()
	d, err := client.Declare(e.ctx, t)
	if err != nil {
		e.Fatal(err)
	}
	return d
}

func (e *env) close(client *warren.Client) {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := client.Close(ctx); err != nil {
		e.Errorf("close: %v", err)
	}
}
