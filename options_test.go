package warren_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/recovery"
)

// TestNothingIsAnOptionLeftOut: a program that builds its options by conditions gives nil for those it does without.
func TestNothingIsAnOptionLeftOut(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial(
			nil, warren.WithRecordLimit(0), warren.WithTopology(warren.Topology{}), warren.WithLogger(nil), warren.WithSlog(nil), warren.WithListener(nil), warren.WithConnection(nil),
			warren.WithRecovery(nil), warren.WithRetry(nil), warren.WithResolver(nil), warren.WithTLS(nil), warren.WithURLs(),
		)
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		e.close(client)
		e.broker.DenyLogin("guest") // whom a client without credentials would be
		if _, err := warren.Dial(e.ctx, "amqp://other:secret@broker", warren.WithCredentials(nil), e.overMemory()); err == nil ||
			!strings.Contains(err.Error(), "other") && !errors.Is(err, core.ErrAuth) {
			t.Errorf("%v", err)
		}
	})
}

func TestDialRefusesWhatCannotBeMeant(t *testing.T) {
	for name, change := range map[string]func(*recovery.Config){
		"stable after":          func(c *recovery.Config) { c.StableAfter = -1 },
		"slow retry":            func(c *recovery.Config) { c.SlowRetry = -time.Second },
		"replay timeout":        func(c *recovery.Config) { c.ReplayTimeout = -1 },
		"network budget":        func(c *recovery.Config) { c.Network.Attempts = -1 },
		"authentication budget": func(c *recovery.Config) { c.Authentication.Elapsed = -1 },
		"semantic budget":       func(c *recovery.Config) { c.Semantic.Attempts = -3 },
	} {
		inBubble(t, func(e *env) {
			_, err := warren.Dial(e.ctx, url, warren.WithRecovery(change), e.overMemory())
			if !isValidation(err) || !strings.Contains(err.Error(), name) || e.dialled() != 0 {
				t.Errorf("%s: %v after %d attempts", name, err, e.dialled())
			}
		})
	}
}

func TestDeclareWithAnEndedContextSaysWhy(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(e.ctx)
		cancel(enough)
		if _, err := client.Declare(ctx, warren.Topology{Queues: []warren.Queue{{Name: "q"}}}); !errors.Is(err, enough) || err.Error() != "enough" {
			t.Errorf("%v", err)
		}
		e.close(client)
	})
}
