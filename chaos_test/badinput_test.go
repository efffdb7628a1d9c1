package chaos

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/recovery"
	"github.com/warren-mq/warren/topology"
)

const dialTimeout = 30 * time.Second

// TestBadInput is what users get wrong first: each is one clear error, soon, and nothing is left running.
func TestBadInput(t *testing.T) {
	b := startBroker(t, docker.MainVersion)
	newLedger(t, b)
	for _, test := range []struct {
		name string
		test func(*testing.T, *broker)
	}{
		{"malformed url", malformedURL},
		{"nothing listening", nothingListening},
		{"wrong password", wrongPassword},
		{"wrong password while waiting for the broker", wrongPasswordWhileWaiting},
		{"unknown vhost", unknownVHost},
		{"queue with other arguments", queueWithOtherArguments},
	} {
		t.Run(test.name, func(t *testing.T) { test.test(t, b) })
		requireNoGoroutines(t)
	}
}

// dialFails returns the error of a dial that must fail, in one line and without the password.
func dialFails(t *testing.T, url string, options ...warren.Option) error {
	t.Helper()
	client, err := warren.Dial(within(t, dialTimeout), url, options...)
	if err == nil {
		closeClient(t, client)
		t.Fatal("no error")
	}
	if text := err.Error(); strings.Contains(text, "\n") || strings.Contains(text, "s3cret") {
		t.Errorf("the error is not one line without the password: %q", text)
	}
	return err
}

func malformedURL(t *testing.T, _ *broker) {
	for url, want := range map[string]string{
		"amqp://guest:s3cret@[::1/":             "not a valid url",
		"http://guest:s3cret@localhost":         `scheme "http"`,
		"amqp://guest:s3cret@localhost:port/":   "port",
		"amqp://guest:s3cret@localhost/%zz":     "not a valid url",
		"localhost:5672":                        "amqp",
		"amqp://guest:s3cret@localhost/a/b/c/d": "vhost",
	} {
		err := dialFails(t, url)
		if _, ok := errs.AsType[*core.ValidationError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("Dial(%q) = %q, want a validation error with %q", url, err, want)
		}
	}
}

func nothingListening(t *testing.T, _ *broker) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	err = dialFails(t, "amqp://guest:s3cret@"+addr)
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), addr) {
		t.Errorf("error %q, want a refused connection to %s", err, addr)
	}
}

// logins returns how often the broker refused a login so far.
func logins(t *testing.T, b *broker) int {
	t.Helper()
	logs, err := b.Logs(within(t, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(logs, "PLAIN login refused")
}

func wrongPassword(t *testing.T, b *broker) {
	before := logins(t, b)
	err := dialFails(t, "amqp://guest:s3cret@"+b.Addr())
	if !errors.Is(err, core.ErrAuth) {
		t.Errorf("error %q, want %q", err, core.ErrAuth)
	}
	// The broker logs in its own time.
	eventually(t.Context(), dialTimeout, func() bool { return logins(t, b) > before })
	if n := logins(t, b) - before; n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

// wrongPasswordWhileWaiting asks for attempts without end: they stay rare, because every one may lock the account.
func wrongPasswordWhileWaiting(t *testing.T, b *broker) {
	before := logins(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := warren.Dial(ctx, "amqp://guest:s3cret@"+b.Addr(), warren.WithInitialRetry())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %q, want the end of the context", err)
	}
	if n := logins(t, b) - before; n != 1 {
		t.Errorf("%d logins in 10 s, want 1", n)
	}
}

func unknownVHost(t *testing.T, b *broker) {
	err := dialFails(t, b.URL()+"nowhere")
	if !errors.Is(err, core.ErrNotAllowed) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error %q, want %q with the name", err, core.ErrNotAllowed)
	}
}

// queueWithOtherArguments declares a queue that another client has declared differently: the rest is
// declared, and the client stays usable.
func queueWithOtherArguments(t *testing.T, b *broker) {
	ctx := within(t, time.Minute)
	dial := func() *warren.Client {
		client, err := warren.Dial(ctx, b.URL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeClient(t, client) })
		return client
	}
	if _, err := dial().Declare(ctx, warren.Topology{Queues: []warren.Queue{{Name: "taken", Type: topology.Classic}}}); err != nil {
		t.Fatal(err)
	}
	client := dial()
	report, err := client.Declare(ctx, warren.Topology{
		Exchanges: []warren.Exchange{{Name: "news"}},
		Queues:    []warren.Queue{{Name: "taken", Type: topology.Quorum}, {Name: "free"}},
		Bindings:  []warren.Binding{{Source: "news", Destination: "free", RoutingKey: "k"}},
	})
	if !errors.Is(err, core.ErrPreconditionFailed) || !strings.Contains(err.Error(), "x-queue-type") {
		t.Errorf("error %q, want %q and the argument", err, core.ErrPreconditionFailed)
	}
	if len(report.Failed) != 1 || report.Failed[0].Entity != `queue "taken"` {
		t.Errorf("failed: %v, want the queue alone", report.Failed)
	}
	pub, err := client.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.Publish(ctx, warren.Message{Exchange: "news", RoutingKey: "k"}); err != nil {
		t.Errorf("publishing after the refusal: %v", err)
	}
}

// TestChangedPasswordIsNotHammered changes the password below a client: its attempts stay rare, and it comes
// back when the password does.
func TestChangedPasswordIsNotHammered(t *testing.T) {
	b := startBroker(t, docker.MainVersion)
	newLedger(t, b)
	ctx := within(t, 3*time.Minute)
	client, err := warren.Dial(ctx, b.URL(), warren.WithRetry(shortRetry),
		warren.WithRecovery(func(c *recovery.Config) { c.SlowRetry = 5 * time.Second }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeClient(t, client) })
	for _, args := range [][]string{{"change_password", "guest", "other"}, {"close_all_connections", "rotated"}} {
		if _, err := b.Ctl(ctx, args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := hold(ctx, 12*time.Second); err != nil {
		t.Fatal(err)
	}
	if n := logins(t, b); n < 1 || n > 4 {
		t.Errorf("%d logins in 12 s with a pause of 5 s, want 1 to 4", n)
	}
	if s := client.State(); s.Stage != recovery.StageConnecting || !errors.Is(s.Cause, core.ErrAuth) {
		t.Errorf("state %v, %v, want connecting because of %v", s.Stage, s.Cause, core.ErrAuth)
	}
	if _, err := b.Ctl(ctx, "change_password", "guest", "guest"); err != nil {
		t.Fatal(err)
	}
	if err := client.AwaitReady(ctx); err != nil {
		t.Errorf("with the password back: %v", err)
	}
}
