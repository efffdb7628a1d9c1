package live

import (
	"context"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/faultproxy"
)

// A link that takes several times each limit to carry what the socket holds is slow, not dead.
func testSlowLink(t *testing.T, addr string) {
	proxy, err := faultproxy.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	proxy.Bandwidth(600 << 10)
	const limit = time.Second
	s := open(t, proxy.Addr(), core.Config{WriteTimeout: limit, RPCTimeout: limit, CloseTimeout: limit})
	s.ok(s.Confirm(s.ctx, core.ConfirmSelect{}))
	queue := s.queue()
	const messages = 16
	confirmed := make(chan error, 1)
	go func() { confirmed <- publishAndConfirm(s.ctx, s.Channel, queue, messages) }()
	calls := 0
	for running := true; running; calls++ {
		s.ok(s.again().Close(s.ctx))
		select {
		case err := <-confirmed:
			s.ok(err)
			running = false
		default:
		}
	}
	if n := s.count(queue); n != messages {
		t.Errorf("%d messages arrived", n)
	}
	s.ok(s.Conn().Close(s.ctx))
	t.Logf("%d channels opened and closed meanwhile", calls)
}

func publishAndConfirm(ctx context.Context, ch *core.Channel, queue string, messages int) error {
	var all []*core.Confirmation
	for range messages {
		c, err := ch.PublishConfirm(ctx, &core.Publishing{RoutingKey: queue, Body: make([]byte, 200<<10)})
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	for _, c := range all {
		if _, err := c.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
