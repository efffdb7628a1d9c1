package session

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

// patientRetry waits an hour between attempts.
func patientRetry() backoff.BackOff { return backoff.NewConstantBackOff(time.Hour) }

func TestASightingEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a, b := sessiontest.NewServer(t, n, "a:1"), sessiontest.NewServer(t, n, "b:1")
		c, j := connected(t, Config{Config: recovery.Config{Retry: patientRetry}}, a.Endpoint(), sessiontest.At(n, "x:1"), b.Endpoint())
		c.Found("b:1") // while it is connected: of no use later
		time.Sleep(time.Minute)
		b.Stop()
		a.Stop()
		time.Sleep(time.Minute)
		if got := j.Dialled(); len(got) != 4 {
			t.Fatalf("dialled %v; want each endpoint at once, and then none for an hour", got)
		}
		b.Listen(t)
		found := time.Now()
		c.Found("b:1")
		awaitEpoch(t, c, 2)
		if since := time.Since(found); since >= foundSpread || c.Health().Endpoint != "b:1" {
			t.Errorf("back at %s after %s", c.Health().Endpoint, since)
		}
		if got := j.Dialled(); len(got) != 5 {
			t.Errorf("dialled %v", got)
		}
	})
}

// TestSightingsAreSpread: of many that wait for the same broker only some arrive at a time.
func TestSightingsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a := sessiontest.NewServer(t, n, "a:1")
		var all []*Connection
		for range 100 {
			c, _ := connected(t, Config{Config: recovery.Config{Retry: patientRetry}}, a.Endpoint())
			all = append(all, c)
		}
		time.Sleep(time.Minute)
		a.Stop()
		time.Sleep(time.Minute)
		a.Listen(t)
		found := time.Now()
		for _, c := range all {
			c.Found("a:1")
		}
		var after []time.Duration
		for _, c := range all {
			after = append(after, awaitEpoch(t, c, 2).Since.Sub(found))
		}
		slices.Sort(after)
		if after[90] > foundSpread || after[10] > foundSpread/3 || after[90] < foundSpread*2/3 {
			t.Errorf("a tenth is back after %s, nine tenths after %s", after[10], after[90])
		}
	})
}

func TestAnAttemptThatHangsIsBrokenOffAtASighting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &memnet.Network{}
		a, b := sessiontest.NewServer(t, n, "a:1"), sessiontest.NewServer(t, n, "b:1")
		c, j := connected(t, Config{Config: recovery.Config{Retry: patientRetry}}, a.Endpoint(), b.Endpoint())
		time.Sleep(time.Minute)
		b.On(sessiontest.Silent)
		a.Stop()
		a.Drop()
		time.Sleep(time.Second) // it hangs at b
		a.Listen(t)
		found := time.Now()
		c.Found("a:1")
		awaitEpoch(t, c, 2)
		if since := time.Since(found); since < stuckAfter-time.Second || since > stuckAfter+foundSpread {
			t.Errorf("back after %s", since)
		}
		if e := j.Last(t, recovery.EventRetrying); !errors.Is(e.Err, errFoundElsewhere) {
			t.Errorf("the attempt ended with %v", e.Err)
		}
	})
}
