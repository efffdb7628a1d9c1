package channel

import (
	"context"
	"testing"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

// start returns a connection to list with a journal; cfg says the rest.
func start(t *testing.T, cfg session.Config, list ...core.Config) (*session.Connection, *sessiontest.Journal) {
	t.Helper()
	j := &sessiontest.Journal{}
	cfg.Resolver = recovery.Endpoints(j.Watched(list...)...)
	cfg.Emit = j.Emit
	c := session.New(cfg)
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c, j
}

// connected is start, with the first session made.
func connected(t *testing.T, cfg session.Config, list ...core.Config) (*session.Connection, *sessiontest.Journal) {
	t.Helper()
	c, j := start(t, cfg, list...)
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c, j
}

func awaitEpoch(t *testing.T, c *session.Connection, epoch uint64) *session.Session {
	t.Helper()
	s, err := c.SessionAfter(t.Context(), epoch-1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
