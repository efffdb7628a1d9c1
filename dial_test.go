package warren_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/recovery"
)

func TestDialErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		url    string
		opts   []warren.Option
		broker func(b *brokertest.Broker)
		check  func(err error) bool
		within time.Duration
	}{
		{"malformed url", "http://guest:S3cr3t@broker", nil, nil, isValidation, 0},
		{"no port number", "amqp://guest:S3cr3t@broker:x", nil, nil, isValidation, 0},
		{"urls and a resolver", url, []warren.Option{warren.WithResolver(recovery.Endpoints())}, nil, isValidation, 0},
		{"bad further url", url, []warren.Option{warren.WithURLs("amqp://guest:S3cr3t@broker:x")}, nil, isValidation, 0},
		{"nothing listens", url, nil, func(b *brokertest.Broker) { b.Stop() }, is(syscall.ECONNREFUSED), time.Second},
		{"nothing answers", url, []warren.Option{warren.WithConnection(func(c *core.Config) { c.HandshakeTimeout = 5 * time.Second })}, func(b *brokertest.Broker) {
			b.OnConnect(func(l *brokertest.Link) { l.StallSending() })
		}, is(core.ErrTimeout), 6 * time.Second},
		{"wrong password", "amqp://guest:S3cr3t@broker", nil, nil, is(core.ErrAuth), time.Second},
		{"unknown vhost", url + "/none", nil, nil, is(core.ErrNotAllowed), time.Second},
		{"no endpoint", "", []warren.Option{warren.WithResolver(recovery.Endpoints())}, nil, func(err error) bool { return err != nil }, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				if test.broker != nil {
					test.broker(e.broker)
				}
				begun := time.Now()
				client, err := warren.Dial(e.ctx, test.url, append(test.opts, e.overMemory())...)
				if client != nil || !test.check(err) || time.Since(begun) > test.within {
					t.Errorf("%v, %v after %s", client, err, time.Since(begun))
				}
				if err != nil && strings.Contains(err.Error(), "S3cr3t") {
					t.Errorf("the password is in the error: %v", err)
				}
				t.Log(err)
			})
		})
	}
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func isValidation(err error) bool {
	_, ok := errors.AsType[*core.ValidationError](err)
	return ok
}

// TestRefusedCredentialsAreNotHammered is part of promise P8: many failures in
// a short time lock accounts.
func TestRefusedCredentialsAreNotHammered(t *testing.T) {
	inBubble(t, func(e *env) {
		ctx, cancel := context.WithTimeout(e.ctx, 10*time.Minute)
		defer cancel()
		_, err := warren.Dial(ctx, "amqp://guest:wrong@broker", warren.WithInitialRetry(), e.overMemory())
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if n := e.dialled(); n < 2 || n > 21 {
			t.Errorf("%d attempts in ten minutes", n)
		}
	})
}

func TestInitialRetryWaitsForTheBroker(t *testing.T) {
	inBubble(t, func(e *env) {
		e.broker.Stop()
		time.AfterFunc(time.Hour, e.broker.Start)
		begun := time.Now()
		client := e.dial(warren.WithInitialRetry())
		if took := time.Since(begun); took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("after %s", took)
		}
		e.close(client)
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	inBubble(t, func(e *env) {
		e.broker.OnConnect(func(l *brokertest.Link) { l.StallSending() })
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(e.ctx, time.Second, cause)
		defer cancel()
		begun := time.Now()
		if _, err := warren.Dial(ctx, url, e.overMemory()); !errors.Is(err, cause) || time.Since(begun) != time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		synctest.Wait()
		if n := len(e.broker.Links()); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

func TestFurtherURLsAreTried(t *testing.T) {
	inBubble(t, func(e *env) {
		// Refused credentials are the answer of a cluster, not of an endpoint.
		if _, err := warren.Dial(e.ctx, "amqp://guest:wrong@a", warren.WithURLs(url), e.overMemory()); !errors.Is(err, core.ErrAuth) {
			t.Errorf("%v", err)
		}
		e.broker.Stop()
		before := e.dialled()
		_, err := warren.Dial(e.ctx, "amqp://a", warren.WithURLs("amqp://b", "amqp://c"), e.overMemory())
		if !errors.Is(err, syscall.ECONNREFUSED) || e.dialled()-before != 3 {
			t.Errorf("%v after %d attempts; want each endpoint tried once", err, e.dialled()-before)
		}
	})
}
