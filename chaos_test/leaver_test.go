package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/publisher"
)

// leaver is a client that leaves while a fault lasts. It goes around the proxy: the ledger's wire is about the load.
type leaver struct {
	*warren.Client
	pub *publisher.Publisher
}

// leaveTimeout is for a client to close that may be cut off.
const leaveTimeout = time.Second

// arrive connects a client that is to leave, to the broker that rabbitmqctl runs on.
func (l *load) arrive(ctx context.Context, t *testing.T) leaver {
	t.Helper()
	addr, err := l.node.container.PortEndpoint(ctx, amqpPort, "")
	if err != nil {
		t.Fatal(err)
	}
	client, err := warren.Dial(ctx, "amqp://guest:guest@"+addr+"/", warren.WithRetry(shortRetry))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := client.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	return leaver{client, pub}
}

// leave has the client publish, and close: both are to end in time, whatever becomes of them.
func (l *load) leave(ctx context.Context, c leaver) {
	short, cancel := context.WithTimeout(ctx, askTimeout)
	_ = l.call(short, "publish and leave", func(ctx context.Context) error {
		return c.pub.Publish(ctx, warren.Message{RoutingKey: strayKey})
	})
	cancel()
	short, cancel = context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	_ = l.call(short, "close", c.Close)
}
