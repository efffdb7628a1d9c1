package compare_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/compare"
	"github.com/warren-mq/warren/topology/document"
	"github.com/warren-mq/warren/topology/management"
)

// TestWithRabbitMQ runs what has to agree with a real broker, all on one.
func TestWithRabbitMQ(t *testing.T) {
	broker := dockertest.Run(t, docker.MainVersion, docker.Options{
		Plugins: []string{"rabbitmq_management"}, Publish: []int{portManagement},
	})
	t.Run("compare over AMQP", func(t *testing.T) { testCompare(t, dialRabbitMQ(t, broker)) })
	t.Run("compare with the management API", func(t *testing.T) { testCompareWithManagement(t, broker) })
	t.Run("definitions", func(t *testing.T) { testDefinitions(t, broker) })
}

const portManagement = 15672

func dialRabbitMQ(t *testing.T, broker *docker.Broker) *core.Conn {
	t.Helper()
	conn, err := core.Dial(t.Context(), core.Config{Addr: broker.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func managementURL(broker *docker.Broker) string {
	return fmt.Sprintf("http://127.0.0.1:%d", broker.Port(portManagement))
}

// call does one request to the management API.
func call(t *testing.T, broker *docker.Broker, method, path string, body []byte) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, managementURL(broker)+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("guest", "guest")
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s, error %v\n%s", method, path, response.Status, err, answer)
	}
	return answer
}

// testCompareWithManagement needs what testCompare left behind.
func testCompareWithManagement(t *testing.T, broker *docker.Broker) {
	conn := dialRabbitMQ(t, broker)
	api := &management.Client{URL: managementURL(broker)}
	want := wanted.Clone()
	want.Queues = append(want.Queues, topology.Queue{Name: "cmp.quorum", Type: topology.Quorum}.With(topology.DeliveryLimit(3)))
	want.Bindings = append(want.Bindings, topology.Binding{
		Source: "amq.headers", Destination: "cmp.quorum", Arguments: topology.Table{"x-match": "any", "n": int64(7), "s": "v"},
	})
	for round, created := range []int{2, 0} {
		c, err := compare.Compare(t.Context(), conn, want, compare.With(api))
		if err != nil {
			t.Fatal(err)
		}
		if c.Count(compare.ActionCreate) != created || c.Count(compare.ActionDiffers) != 2 || c.Count(compare.ActionEnsure)+c.Count(compare.ActionRefused) != 0 {
			t.Errorf("round %d:\n%s", round, c)
		}
		if extra := names(c.Extra); !slices.Contains(extra, `queue "cmp.extra"`) || !slices.Contains(extra, `binding of queue "cmp.extra" to "cmp.same" with key ""`) {
			t.Errorf("round %d: extra %q", round, extra)
		}
		applied, err := compare.Apply(t.Context(), conn, want, compare.With(api))
		if !unsettled(err, 2) || applied.Count(compare.ActionCreate) != created || applied.Count(compare.ActionRefused) != 0 {
			t.Errorf("round %d, applied, error %v:\n%s", round, err, applied)
		}
	}
	probed, err := compare.Compare(t.Context(), conn, want, compare.With(api), compare.Probe())
	if err != nil || probed.Count(compare.ActionDiffers) != 2 || len(probed.Changes[4].Differences) != 5 {
		t.Errorf("inventory and probe, error %v:\n%s", err, probed)
	}
}

// testDefinitions exports, reads, changes and imports, and compares with
// what the broker then has.
func testDefinitions(t *testing.T, broker *docker.Broker) {
	api := &management.Client{URL: managementURL(broker)}
	for _, path := range []string{"/api/definitions", "/api/definitions/%2F"} {
		d, err := document.ParseDefinitions(call(t, broker, http.MethodGet, path, nil))
		if err != nil {
			t.Fatal(err)
		}
		all := d.Topology("/")
		all.Exchanges = append(all.Exchanges, topology.Exchange{Name: "imported", Internal: true})
		all.Queues = append(all.Queues, topology.Queue{Name: "imported", Type: topology.Stream}.With(topology.Argument("x-max-age", "1D")))
		all.Bindings = append(all.Bindings, topology.Binding{Source: "imported", Destination: "imported", Arguments: topology.Table{"n": int32(5)}})
		if err := d.Set("/", all); err != nil {
			t.Fatal(err)
		}
		text, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		call(t, broker, http.MethodPost, path, text)
		c, err := compare.Compare(t.Context(), nil, all, compare.With(api))
		if err != nil || !c.Settled() || len(c.Extra.Queues)+len(c.Extra.Exchanges) != 0 {
			t.Errorf("%s: error %v\n%s", path, err, c)
		}
	}
	exported, err := broker.Exec(t.Context(), "rabbitmqctl", "-q", "export_definitions", "-")
	if err != nil {
		t.Fatal(err)
	}
	d, err := document.ParseDefinitions([]byte(exported))
	if err != nil {
		t.Fatal(err)
	}
	c, err := compare.Compare(t.Context(), nil, d.Topology("/"), compare.With(api))
	if err != nil || !c.Settled() {
		t.Errorf("rabbitmqctl: error %v\n%s", err, c)
	}
}
