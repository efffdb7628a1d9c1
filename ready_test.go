package warren_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
)

// A consumer that is made is waited for, and one of a misspelt queue keeps the client from being ready.
func TestReadyMeansEveryConsumerThatWasMade(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		c, err := client.Consumer("q")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Minute)
			_ = c.Run(e.ctx, nothing)
		}()
		if err := client.AwaitReady(e.ctx); err != nil || len(e.broker.Consumers()) != 1 {
			t.Errorf("ready with consumers %v: %v", e.broker.Consumers(), err)
		}

		go func() { _ = client.Consume(e.ctx, "misspelt", nothing) }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(e.ctx, time.Second)
		defer cancel()
		err = client.AwaitReady(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, core.ErrNotFound) || !strings.Contains(err.Error(), `"misspelt"`) {
			t.Errorf("await: %v", err)
		}
		if s, h := client.State(), client.Health(); s.Ready() || h.Ready || !errors.Is(h.Err(), core.ErrNotFound) {
			t.Errorf("state %+v, health %v", s, h.Err())
		}
		e.close(client)
	})
}

// What is nil is refused before anything is begun, and nothing is missed afterwards.
func TestNilIsRefused(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		if err := client.Consume(e.ctx, "q", nil); !isInvalid(err) {
			t.Errorf("a nil handler: %v", err)
		}
		if _, err := client.Consumer("q", nil); err == nil {
			t.Error("a nil option of a consumer is accepted")
		}
		if _, err := client.Publisher(nil); err == nil {
			t.Error("a nil option of a publisher is accepted")
		}
		if s := client.State(); !s.Ready() {
			t.Errorf("state %+v", s)
		}
		e.close(client)
	})
}

func isInvalid(err error) bool {
	_, ok := errs.AsType[*core.ValidationError](err)
	return ok
}
