package record_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// TestWithRabbitMQ runs what has to agree with a real broker, all on one.
func TestWithRabbitMQ(t *testing.T) {
	broker := dockertest.Run(t, docker.MainVersion, docker.Options{})
	t.Run("validation", func(t *testing.T) { testValidationAgrees(t, broker) })
	t.Run("replay", func(t *testing.T) { testReplayOnRabbitMQ(t, broker) })
	t.Run("suspects", func(t *testing.T) { testSuspectsOnRabbitMQ(t, broker) })
}

func dialRabbitMQ(t *testing.T, broker *docker.Broker) *core.Conn {
	t.Helper()
	conn, err := core.Dial(t.Context(), core.Config{Addr: broker.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx) // it may be dead: that is what some tests are about
	})
	return conn
}

// testValidationAgrees declares queues with right and wrong arguments: the
// broker takes what [topology.Topology.Validate] takes, and nothing else.
func testValidationAgrees(t *testing.T, broker *docker.Broker) {
	values := map[string][]any{
		"x-expires":                       {1000, int16(1000), 0, -1, int64(315360000000), int64(315360000001), "1000", 1.5, true},
		"x-message-ttl":                   {1000, 0, -1, int64(315360000000), int64(315360000001), "1000"},
		"x-max-length":                    {1000, 0, -1, "1", int64(1 << 40)},
		"x-max-length-bytes":              {1000, 0, -1, "1", int64(1 << 40)},
		"x-max-in-memory-length":          {1000},
		"x-max-priority":                  {10, 0, 255, 256, -1, "1", uint8(200)},
		"x-overflow":                      {"drop-head", "reject-publish", "reject-publish-dlx", "other", 1},
		"x-dead-letter-exchange":          {"x", "", 1},
		"x-dead-letter-routing-key":       {"k", 1},
		"x-dead-letter-strategy":          {"at-most-once", "at-least-once", "other"},
		"x-single-active-consumer":        {true, false, "true", 1},
		"x-queue-mode":                    {"lazy", "other"},
		"x-queue-version":                 {2, 3},
		"x-queue-leader-locator":          {"client-local", "balanced", "random", "least-leaders", "other", 1},
		"x-delivery-limit":                {5, 0, -1, "5"},
		"x-quorum-initial-group-size":     {1, 3, 0, -1, "1"},
		"x-initial-cluster-size":          {1, 0, -1},
		"x-max-age":                       {"7D", "1Y", "10M", "5s", "05s", "7", "7d", 7, "x", "0D", "3h2m"},
		"x-stream-max-segment-size-bytes": {1000000, 0, -1, "1", int64(3000000000), int64(3000000001)},
		"x-stream-filter-size-bytes":      {16, 255, 15, 256},
		"x-delayed-retry-type":            {"all", "other"},
		"x-consumer-timeout":              {10000, 0, -1, "1"},
		"x-consumer-disconnected-timeout": {10000, -1},
		"x-somebodys":                     {1, "a"},
	}
	var all topology.Topology
	queue := func(q topology.Queue) {
		q.Name = fmt.Sprintf("validate-%d", len(all.Queues))
		all.Queues = append(all.Queues, q)
	}
	for _, kind := range []string{topology.Classic, topology.Quorum, topology.Stream} {
		queue(topology.Queue{Type: kind, Exclusive: true})
		queue(topology.Queue{Type: kind, AutoDelete: true})
		for key, list := range values {
			for _, v := range list {
				q := topology.Queue{Type: kind}.With(topology.Argument(key, v))
				queue(q)
				if key == "x-dead-letter-routing-key" {
					queue(q.With(topology.DeadLetter("x")))
				}
			}
		}
	}
	queue(topology.Queue{Type: "other"})
	for i, kind := range []string{"", topology.Direct, topology.Fanout, topology.Topic, topology.Headers, "nonsense", "x-local-random"} {
		all.Exchanges = append(all.Exchanges, topology.Exchange{Name: fmt.Sprintf("validate-%d", i), Type: kind})
	}
	all.Exchanges = append(all.Exchanges, predeclaredExchanges()...)
	all.Exchanges = append(all.Exchanges,
		topology.Exchange{Name: "validate-ae"}.With(topology.AlternateExchange("none")),
		topology.Exchange{Name: "validate-wrong-ae"}.With(topology.Argument("alternate-exchange", 1)))
	for _, match := range []any{"all", "any", "all-with-x", "any-with-x", "other", 1} {
		all.Bindings = append(all.Bindings, topology.Binding{Source: "amq.headers", Destination: "validate-0", Arguments: topology.Table{"x-match": match}})
	}
	all.Bindings = append(all.Bindings, b("", "validate-0"), bx("amq.topic", ""), bx("amq.topic", "amq.fanout"))
	conn := dialRabbitMQ(t, broker)
	for _, phase := range record.Plan(all) {
		results, err := record.Replay(t.Context(), conn, phase.Steps)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if verdict := made(phase.Steps[i].Entity).Validate(); (verdict == nil) != (r.Err == nil) {
				t.Errorf("%v %+v\nRabbitMQ: %v\nValidate: %v", r.Entity, r.Entity, r.Err, verdict)
			}
		}
	}
}

// testReplayOnRabbitMQ declares a topology twice, with refusals in between,
// and looks which queues are there.
func testReplayOnRabbitMQ(t *testing.T, broker *docker.Broker) {
	conn := dialRabbitMQ(t, broker)
	r := record.NewRecorder()
	add(t, r, x("replay"))
	var names []string
	for i := range 300 {
		name := fmt.Sprintf("replay-%d", i)
		names = append(names, name)
		add(t, r, q(name), b("replay", name))
	}
	add(t, r, b("nowhere", names[7]))
	for round := range 2 {
		declared, refused := 0, 0
		for _, phase := range r.Plan() {
			begun := time.Now()
			results, err := record.Replay(t.Context(), conn, phase.Steps)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("round %d: %d %s in %s", round, len(results), phase.Name, time.Since(begun))
			for _, result := range results {
				if result.Err == nil {
					declared++
				} else {
					refused++
				}
			}
		}
		if declared != 601 || refused != 1 {
			t.Errorf("round %d: %d declared, %d refused", round, declared, refused)
		}
	}
	if got := gone(t, conn, append(names, "never-declared")...); !slices.Equal(got, []string{"never-declared"}) {
		t.Errorf("gone are %q", got)
	}
}

// testSuspectsOnRabbitMQ declares a queue over which RabbitMQ 4.3 closes the
// connection: for a deprecated feature that it does not permit any more.
func testSuspectsOnRabbitMQ(t *testing.T, broker *docker.Broker) {
	killer := topology.Queue{Name: "killer", Exclusive: true}.With(topology.Argument("x-queue-master-locator", "client-local"))
	var all topology.Topology
	for i := range 200 {
		all.Queues = append(all.Queues, topology.Queue{Name: fmt.Sprintf("beside-%d", i), Exclusive: true})
	}
	all.Queues[77] = killer
	for _, how := range []record.Replayer{{}, {Channels: 1, Window: 1}} {
		conn := dialRabbitMQ(t, broker)
		_, err := how.Replay(t.Context(), conn, record.Plan(all)[1].Steps)
		e, ok := errs.AsType[*record.InterruptedError](err)
		if !ok || !errors.Is(err, core.ErrInternal) {
			t.Fatalf("error %v", err)
		}
		suspects := stepNames(e.Suspects())
		if !slices.Contains(suspects, "killer") || how.Window == 1 && len(suspects) != 1 {
			t.Errorf("window %d: suspects %q", how.Window, suspects)
		}
		t.Logf("window %d: the culprit is no. %d of %d suspects", how.Window, slices.Index(suspects, "killer"), len(suspects))
	}
}
