package warren_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	neturl "net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/recovery"
)

// secret needs an encoding wherever it is written down.
const secret = "S3cr3t-Δ/@:%"

var (
	escaped   = neturl.QueryEscape(secret)
	secretURL = "amqp://guest:" + escaped + "@broker"
)

// tells reports in which form text tells the secret, "" if in none.
func tells(text string) (form string) {
	plain := "\x00guest\x00" + secret // as SASL PLAIN has it
	for form, s := range map[string]string{
		"plain": secret, "quoted": strings.Trim(strconv.QuoteToASCII(secret), `"`),
		"query": escaped, "path": neturl.PathEscape(secret), "user": strings.TrimPrefix(neturl.UserPassword("", secret).String(), ":"),
		"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "base64 of PLAIN": base64.StdEncoding.EncodeToString([]byte(plain)),
		"base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"hex":             hex.EncodeToString([]byte(secret)), "bytes": strings.Trim(fmt.Sprint([]byte(secret)), "[]"),
		"beginning": "S3cr3t",
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
			return form
		}
	}
	return ""
}

// heard is all that a client says of itself.
type heard struct {
	logs *observer.ObservedLogs

	mu     sync.Mutex // guards the following
	events []string
}

func (h *heard) options() []warren.Option {
	core, logs := observer.New(zap.DebugLevel)
	h.logs = logs
	return []warren.Option{warren.WithLogger(zap.New(core)), warren.WithListener(func(e warren.Event) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events = append(h.events, fmt.Sprintf("%v %+v %#v", e, e, e))
	})}
}

func (h *heard) heardEvents() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.events)
}

// wantNoSecret fails if the secret is in a log entry, an event or err.
func (h *heard) wantNoSecret(t *testing.T, err error) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	all := append(h.events, fmt.Sprintf("%v %+v %#v", err, err, err))
	for ; err != nil; err = errors.Unwrap(err) {
		all = append(all, fmt.Sprintf("%v %+v %#v", err, err, err))
	}
	for _, e := range h.logs.All() {
		all = append(all, fmt.Sprintf("%s %v %+v", e.Message, e.ContextMap(), e.ContextMap()))
	}
	for _, text := range all {
		if form := tells(text); form != "" {
			t.Errorf("the password is shown (%s) in: %s", form, text)
		}
	}
}

func TestDialErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		url    string
		opts   []warren.Option
		broker func(b *brokertest.Broker)
		check  func(err error) bool
		within time.Duration
	}{
		{"malformed url", "http://guest:" + escaped + "@broker", nil, nil, isValidation, 0},
		{"no port number", "amqp://guest:" + escaped + "@broker:x", nil, nil, isValidation, 0},
		{"urls and a resolver", url, []warren.Option{warren.WithResolver(recovery.Endpoints())}, nil, isValidation, 0},
		{"bad further url", url, []warren.Option{warren.WithURLs("amqp://guest:" + escaped + "@broker:x")}, nil, isValidation, 0},
		{"nothing listens", secretURL, nil, func(b *brokertest.Broker) { b.Stop() }, is(syscall.ECONNREFUSED), time.Second},
		{"nothing answers", secretURL, []warren.Option{warren.WithConnection(func(c *core.Config) { c.HandshakeTimeout = 5 * time.Second })}, func(b *brokertest.Broker) {
			b.OnConnect(func(l *brokertest.Link) { l.StallSending() })
		}, is(core.ErrTimeout), 6 * time.Second},
		{"wrong password", secretURL, nil, nil, is(core.ErrAuth), time.Second},
		{"unknown vhost", url + "/none", nil, nil, is(core.ErrNotAllowed), time.Second},
		{"no endpoint", "", []warren.Option{warren.WithResolver(recovery.Endpoints())}, nil, func(err error) bool { return err != nil }, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				if test.broker != nil {
					test.broker(e.broker)
				}
				var said heard
				begun := time.Now()
				client, err := warren.Dial(e.ctx, test.url, slices.Concat(test.opts, said.options(), []warren.Option{e.overMemory()})...)
				if client != nil || !test.check(err) || time.Since(begun) > test.within {
					t.Errorf("%v, %v after %s", client, err, time.Since(begun))
				}
				said.wantNoSecret(t, err)
				t.Log(err)
			})
		})
	}
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func isValidation(err error) bool {
	_, ok := errs.AsType[*core.ValidationError](err)
	return ok
}

// TestRefusedCredentialsAreNotHammered is part of promise P8: many failures in
// a short time lock accounts.
func TestRefusedCredentialsAreNotHammered(t *testing.T) {
	inBubble(t, func(e *env) {
		ctx, cancel := context.WithTimeout(e.ctx, 10*time.Minute)
		defer cancel()
		var said heard
		_, err := warren.Dial(ctx, secretURL, append(said.options(), warren.WithInitialRetry(), e.overMemory())...)
		said.wantNoSecret(t, err)
		if said.logs.Len() == 0 || said.heardEvents() == 0 {
			t.Errorf("%d log entries, %d events", said.logs.Len(), said.heardEvents())
		}
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
