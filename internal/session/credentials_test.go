package session

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/session/sessiontest"
	"github.com/warren-mq/warren/recovery"
)

func TestRenewalIsDueInTime(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name  string
		cache credentialCache
		want  time.Duration // 0: never
	}{
		{"it does not expire", credentialCache{}, 0},
		{"an hour", credentialCache{used: core.Credentials{Expires: now.Add(time.Hour)}}, 48 * time.Minute},
		{"a century", credentialCache{used: core.Credentials{Expires: now.Add(100 * 365 * 24 * time.Hour)}}, 80 * 365 * 24 * time.Hour},
		{"further than can be told", credentialCache{used: core.Credentials{Expires: now.AddDate(1000, 0, 0)}}, math.MaxInt64 / 5 * 4},
		{"just before", credentialCache{used: core.Credentials{Expires: now.Add(time.Millisecond)}}, minRenewal},
		{"expired", credentialCache{used: core.Credentials{Expires: now.Add(-time.Hour)}}, lateRenewal},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := test.cache.renewIn(now)
			if got != test.want || ok != (test.want > 0) {
				t.Errorf("%s, %t; want %s", got, ok, test.want)
			}
		})
	}
}

func TestOnlyOtherCredentialsAreWorthAnImmediateAttempt(t *testing.T) {
	answer := core.Credentials{Username: "u", Password: "same"}
	endpoint := core.Config{Credentials: func(context.Context, bool) (core.Credentials, error) { return answer, nil }}
	var c credentialCache
	provide := c.source(endpoint)
	if _, err := provide(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if c.renew(t.Context(), endpoint) {
		t.Error("the same credentials again")
	}
	c.lost()
	answer.Password = "other"
	if !c.renew(t.Context(), endpoint) || c.renew(t.Context(), endpoint) {
		t.Error("other credentials are worth one attempt")
	}
	answer.Password = "third"
	if got, _ := provide(t.Context(), false); got.Password != "other" {
		t.Errorf("the attempt was made with %q", string(got.Password))
	}
	if got, _ := provide(t.Context(), false); got.Password != "third" {
		t.Errorf("the next attempt was made with %q", string(got.Password))
	}
}

// Endpoints may have credentials of their own.
func TestRenewedCredentialsAreForTheirEndpointAlone(t *testing.T) {
	endpoint := func(addr string) core.Config {
		return core.Config{Addr: addr, Credentials: func(_ context.Context, renew bool) (core.Credentials, error) {
			return core.Credentials{Username: addr, Password: core.Secret(fmt.Sprint(renew))}, nil
		}}
	}
	var c credentialCache
	if !c.renew(t.Context(), endpoint("a:1")) {
		t.Fatal("no other credentials")
	}
	if got, _ := c.source(endpoint("b:1"))(t.Context(), false); got.Username != "b:1" {
		t.Errorf("b got those of %s", got.Username)
	}
	if got, _ := c.source(endpoint("a:1"))(t.Context(), false); string(got.Password) != "false" {
		t.Error("a was given what had been renewed for an earlier attempt")
	}
}

// What the application is asked for before a connection is waited for no longer than a while.
func TestLookupsThatHangAreGivenUp(t *testing.T) {
	for _, deaf := range []bool{false, true} { // to the end of its context
		hang := func(ctx context.Context, release chan struct{}) error {
			if !deaf {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			<-release
			return core.ErrClosed
		}
		t.Run(fmt.Sprintf("the resolver, deaf=%t", deaf), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				release := make(chan struct{})
				defer close(release)
				var calls atomic.Int64
				c := New(Config{
					Config: recovery.Config{InitialPasses: -1},
					Resolver: func(ctx context.Context) ([]core.Config, error) {
						if calls.Add(1) == 1 {
							return nil, hang(ctx, release)
						}
						return []core.Config{a.Endpoint()}, nil
					},
				})
				begun := time.Now()
				must(t, c.Connect(t.Context()))
				if took := time.Since(begun); took > lookupTimeout+hookGrace+time.Second || calls.Load() != 2 {
					t.Errorf("connected after %s, and %d calls", took, calls.Load())
				}
				must(t, c.Close(t.Context()))
			})
		})
		t.Run(fmt.Sprintf("fresh credentials, deaf=%t", deaf), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				release := make(chan struct{})
				defer close(release)
				c, j := connected(t, Config{}, a.Login(func(ctx context.Context, renew bool) (core.Credentials, error) {
					if renew {
						return core.Credentials{}, hang(ctx, release)
					}
					return core.Credentials{Username: "u", Password: "p"}, nil
				}))
				a.On(sessiontest.RefusePassword)
				a.Drop()
				time.Sleep(5 * time.Minute)
				if n := len(j.Times()); n < 3 {
					t.Errorf("dialled %d times in five minutes", n)
				}
				a.On(nil)
				awaitEpoch(t, c, 2)
			})
		})
		t.Run(fmt.Sprintf("a renewal, deaf=%t", deaf), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := sessiontest.NewServer(t, &memnet.Network{}, "a:1")
				release := make(chan struct{})
				defer close(release)
				a.On(func(p *sessiontest.Peer, channel uint16, m wire.Method) bool {
					return sessiontest.BindsTo(m, "two") && p.Refuse(channel, m, core.ErrAccessRefused, "ACCESS_REFUSED")
				})
				c, j := connected(t, Config{
					Recorder: sessiontest.Recorded(t, sessiontest.Queues("one two")...),
				}, a.Login(func(ctx context.Context, renew bool) (core.Credentials, error) {
					if renew {
						return core.Credentials{}, hang(ctx, release)
					}
					return core.Credentials{Username: "u", Password: "p", Expires: time.Now().Add(time.Minute)}, nil
				}))
				time.Sleep(2 * time.Minute)
				a.On(nil)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				must(t, c.Await(ctx, recovery.State.Ready))
				if e := j.Last(t, recovery.EventSecretNotRenewed); !errors.Is(e.Err, core.ErrTimeout) {
					t.Errorf("event with %v", e.Err)
				}
			})
		})
	}
}
