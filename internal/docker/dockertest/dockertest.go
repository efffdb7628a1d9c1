// Package dockertest gives tests a RabbitMQ in a container, and skips them where no container engine
// answers. With WARREN_REQUIRE_DOCKER=1 such a test fails instead.
package dockertest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/docker"
)

const (
	imageTimeout  = 5 * time.Minute // an image may have to be pulled or built
	startTimeout  = 2 * time.Minute // a loaded machine starts several brokers at once
	removeTimeout = 30 * time.Second
)

// Require skips the test where no container engine answers, or fails it when WARREN_REQUIRE_DOCKER is 1.
func Require(t testing.TB) {
	t.Helper()
	err := docker.Available(t.Context())
	switch {
	case err == nil:
	case Required():
		t.Fatalf("WARREN_REQUIRE_DOCKER=1: %v", err)
	default:
		t.Skip(err)
	}
}

// Required says whether the environment asks for a container engine.
func Required() bool { return os.Getenv("WARREN_REQUIRE_DOCKER") == "1" }

// Image returns the name of an image of RabbitMQ version, see [docker.Image].
func Image(t testing.TB, version string) string {
	t.Helper()
	Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), imageTimeout)
	defer cancel()
	image, err := docker.Image(ctx, version, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// Run returns a broker of version that answers AMQP, and removes it when the test ends. A failed test logs
// the end of the broker's log.
func Run(t testing.TB, version string, o docker.Options) *docker.Broker {
	t.Helper()
	if o.Image == "" {
		o.Image = Image(t, version)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	b, err := docker.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, b) })
	if err := b.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

func remove(t testing.TB, b *docker.Broker) {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	if t.Failed() {
		logs, _ := b.Logs(ctx)
		t.Logf("the broker's log ends with:\n%s", logs[max(0, len(logs)-4000):])
	}
	if err := b.Remove(ctx); err != nil {
		t.Error(err)
	}
}
