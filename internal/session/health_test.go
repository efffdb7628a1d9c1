package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		c, _ := start(t, Config{Recorder: sessiontest.Recorded(t, sessiontest.Queues("bad")...)}, a.Endpoint())
		check := func(when string, live, ready bool, problem string) recovery.Health {
			t.Helper()
			synctest.Wait()
			h := c.Health()
			err := h.Err()
			if h.Live != live || h.Ready != ready || (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
				t.Errorf("%s: live %t, ready %t, %v", when, h.Live, h.Ready, err)
			}
			return h
		}
		check("idle", true, false, "not ready: connecting")
		must(t, c.Connect(t.Context()))
		if h := check("connected", true, true, ""); h.Endpoint != "a:1" || !h.Since.Equal(time.Now()) {
			t.Errorf("%+v", h)
		}
		a.Peers[0].Send(0, &wire.ConnectionBlocked{Reason: "low on memory"})
		if h := check("blocked", true, true, ""); h.Blocked != "low on memory" {
			t.Errorf("%+v", h)
		}
		time.Sleep(time.Minute)
		a.Stop()
		time.Sleep(10 * time.Second)
		if h := check("down", true, false, "refused"); h.Losses != 1 || h.Attempts < 2 || h.Next.Before(time.Now()) || h.Blocked != "" || h.Endpoint != "" {
			t.Errorf("%+v", h)
		}
		a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
			d, ok := m.(*wire.QueueDeclare)
			switch {
			case !ok || d.Queue != "bad":
				return false
			case d.Passive:
				return p.Refuse(channel, m, core.ErrNotFound, "NOT_FOUND")
			default:
				return p.Refuse(channel, m, core.ErrAccessRefused, "ACCESS_REFUSED")
			}
		})
		a.Listen(t)
		awaitEpoch(t, c, 2)
		check("degraded", true, false, `degraded, 1 missing, first queue "bad"`)
		must(t, c.Close(t.Context()))
		check("closed", false, false, "closed")
	})
}

func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		r := sessiontest.Recorded(t, topology.Queue{Name: "kept"}, topology.Queue{Exclusive: true})
		c, j := connected(t, Config{Name: "main", Recorder: r}, a.Endpoint())
		if len(j.Of(recovery.EventRecovered)) != 0 {
			t.Error("the first connect is no recovery")
		}
		a.Stop()
		c.Tally(recovery.Tally{Unknown: 2, NotSent: 1})
		c.Tally(recovery.Tally{StaleAcks: 3})
		time.Sleep(time.Minute)
		a.Listen(t)
		awaitEpoch(t, c, 2)
		synctest.Wait() // events follow the state
		e := j.Last(t, recovery.EventRecovered)
		got := *e.Report
		if got.Attempts < 3 || got.Endpoint != "a:1" || e.Connection != "main" || got.Total < time.Minute || got.Dial < time.Minute || got.Total != time.Since(got.Lost) {
			t.Errorf("report %+v", got)
		}
		if got.Declared != 2 || got.Survived != 1 || len(got.Renamed) != 1 || len(got.Phases) != 4 {
			t.Errorf("report %+v", got)
		}
		if got.Tally != (recovery.Tally{Unknown: 2, NotSent: 1, StaleAcks: 3}) {
			t.Errorf("tally %+v", got.Tally)
		}
		for _, want := range []string{"recovered from", "2 declared", "1 renamed", "1 survived", "2 publishes to be sent again", "1 publishes not sent", "3 stale acks"} {
			if !strings.Contains(got.String(), want) {
				t.Errorf("%q is missing in %q", want, got.String())
			}
		}
		c.Reconnect(errors.ErrUnsupported)
		awaitEpoch(t, c, 3)
		if got := j.Last(t, recovery.EventRecovered).Report.Tally; got != (recovery.Tally{}) {
			t.Errorf("counted again: %+v", got)
		}
	})
}

func TestSecretsAreRenewedBeforeTheyExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
		var mu sync.Mutex // guards the following
		var secrets []string
		sent := func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(secrets)
		}
		a.On(func(_ *sessiontest.Peer, _ uint16, m wire.Method) bool {
			if u, ok := m.(*wire.ConnectionUpdateSecret); ok {
				mu.Lock()
				defer mu.Unlock()
				secrets = append(secrets, string(u.NewSecret))
			}
			return false
		})
		const life = 10 * time.Minute
		var asked atomic.Int64
		var failing atomic.Bool
		c, j := connected(t, Config{}, a.Login(func(_ context.Context, renew bool) (core.Credentials, error) {
			n := asked.Add(1)
			if failing.Load() {
				return core.Credentials{}, errors.ErrUnsupported
			}
			return core.Credentials{
				Username: "u", Password: core.Secret(fmt.Sprintf("token-%d", n)), Expires: time.Now().Add(life),
			}, nil
		}))
		time.Sleep(life - time.Second)
		if fmt.Sprint(sent()) != "[token-2]" || len(j.Of(recovery.EventSecretRenewed)) != 1 {
			t.Errorf("sent %v", sent())
		}
		time.Sleep(life)
		if len(sent()) != 2 || c.State().Epoch != 1 {
			t.Errorf("sent %v, epoch %d", sent(), c.State().Epoch)
		}
		failing.Store(true)
		time.Sleep(life - time.Minute)
		synctest.Wait()
		failed := len(j.Of(recovery.EventSecretNotRenewed))
		if failed == 0 || failed > 20 {
			t.Errorf("%d failures reported", failed)
		}
		if e := j.Last(t, recovery.EventSecretNotRenewed); !errors.Is(e.Err, errors.ErrUnsupported) || strings.Contains(fmt.Sprintf("%+v", e), "token") {
			t.Errorf("event %+v", e)
		}
		failing.Store(false)
		time.Sleep(life)
		if c.State().Epoch != 1 || len(sent()) < 3 {
			t.Errorf("epoch %d, sent %v", c.State().Epoch, sent())
		}
		// A new connection asks again, without renew.
		before := asked.Load()
		a.Drop()
		awaitEpoch(t, c, 2)
		if asked.Load() != before+1 {
			t.Errorf("asked %d times for one connection", asked.Load()-before)
		}
	})
}
