package session

import (
	"context"
	"testing"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

// start returns a connection to list with a journal; cfg says the rest.
func start(t *testing.T, cfg Config, list ...core.Config) (*Connection, *sessiontest.Journal) {
	t.Helper()
	j := &sessiontest.Journal{}
	cfg.Resolver = recovery.Endpoints(j.Watched(list...)...)
	cfg.Emit = j.Emit
	c := New(cfg)
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c, j
}

// connected is start, with the first session made.
func connected(t *testing.T, cfg Config, list ...core.Config) (*Connection, *sessiontest.Journal) {
	t.Helper()
	c, j := start(t, cfg, list...)
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c, j
}

func awaitEpoch(t *testing.T, c *Connection, epoch uint64) *Session {
	t.Helper()
	s, err := c.SessionAfter(t.Context(), epoch-1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
