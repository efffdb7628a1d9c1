package warren_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
)

// The code of docs/testing.md, which is run here.

func TestOrders(t *testing.T) {
	b := brokertest.New(t)                        // ends with the test
	svc, err := startOrders(t.Context(), b.URL()) // amqp://guest:guest@127.0.0.1:PORT/
	if err != nil {
		t.Fatal(err)
	}
	defer svc.Close(t.Context())
	brokertest.Await(t, 10*time.Second, "a consumer of orders", func() bool {
		q, ok := b.Queue("orders")
		return ok && q.Consumers == 1
	})
}

func TestOrdersSurviveAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		svc, err := startOrders(t.Context(), "amqp://broker", warren.WithConnection(func(c *core.Config) {
			c.DialContext = b.DialContext
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer svc.Close(t.Context())
		b.Stop()
		time.Sleep(time.Hour) // takes no time
		b.Start()
		brokertest.Await(t, time.Minute, "a consumer of orders", func() bool {
			return len(b.Consumers()) == 1
		})
	})
}

func startOrders(ctx context.Context, url string, opts ...warren.Option) (*warren.Client, error) {
	client, err := warren.Dial(ctx, url, opts...)
	if err != nil {
		return nil, err
	}
	if _, err := client.Declare(ctx, warren.Topology{Queues: []warren.Queue{{Name: "orders"}}}); err != nil {
		return nil, errors.Join(err, client.Close(ctx))
	}
	handle := func(context.Context, *warren.Delivery) error { return nil }
	go func() { _ = client.Consume(ctx, "orders", handle) }() // ends with the client
	return client, nil
}

// TestTheTestingPageShowsThisFile: each whole function on the page is one that runs.
func TestTheTestingPageShowsThisFile(t *testing.T) {
	source, err := os.ReadFile("example_testing_test.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, block := range strings.Split(string(page), "```go\n")[1:] {
		code, _, _ := strings.Cut(block, "```")
		if !strings.HasPrefix(code, "func ") {
			continue
		}
		if shown++; !strings.Contains(string(source), "\n"+code) {
			t.Errorf("docs/testing.md shows code that is not run:\n%s", code)
		}
	}
	if shown != 3 {
		t.Errorf("docs/testing.md shows %d functions", shown)
	}
}
