package topology_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/document"
	"github.com/warren-mq/warren/topology/management"
)

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
		Source: "amq.headers", Destination: "cmp.quorum", Args: topology.Table{"x-match": "any", "n": int64(7), "s": "v"},
	})
	for round, created := range []int{2, 0} {
		c, err := topology.Compare(t.Context(), conn, want, topology.With(api))
		if err != nil {
			t.Fatal(err)
		}
		if c.Count(topology.Create) != created || c.Count(topology.Differs) != 2 || c.Count(topology.Ensure)+c.Count(topology.Refused) != 0 {
			t.Errorf("round %d:\n%s", round, c)
		}
		if extra := names(c.Extra); !slices.Contains(extra, "q cmp.extra") || !slices.Contains(extra, "cmp.same→cmp.extra") {
			t.Errorf("round %d: extra %q", round, extra)
		}
		applied, err := topology.Apply(t.Context(), conn, want, topology.With(api))
		if !unsettled(err, 2) || applied.Count(topology.Create) != created || applied.Count(topology.Refused) != 0 {
			t.Errorf("round %d, applied, error %v:\n%s", round, err, applied)
		}
	}
	probed, err := topology.Compare(t.Context(), conn, want, topology.With(api), topology.Probe())
	if err != nil || probed.Count(topology.Differs) != 2 || len(probed.Changes[4].Differences) != 5 {
		t.Errorf("inventory and probe, error %v:\n%s", err, probed)
	}
}

// awaitExpiry waits until the queues that other tests left to expire are gone.
func awaitExpiry(t *testing.T, broker *docker.Broker) {
	t.Helper()
	expiring := func() bool {
		d, err := document.ParseDefinitions(call(t, broker, http.MethodGet, "/api/definitions", nil))
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(d.Topology("/").Queues, func(q topology.Queue) bool {
			ms, err := strconv.Atoi(fmt.Sprint(q.Args["x-expires"])) // whatever its width
			return err == nil && ms < 60_000
		})
	}
	for begin := time.Now(); expiring(); {
		if time.Since(begin) > 30*time.Second {
			t.Fatal("queues do not expire")
		}
	}
}

// testDefinitions exports, reads, changes and imports, and compares with
// what the broker then has.
func testDefinitions(t *testing.T, broker *docker.Broker) {
	awaitExpiry(t, broker)
	api := &management.Client{URL: managementURL(broker)}
	for _, path := range []string{"/api/definitions", "/api/definitions/%2F"} {
		d, err := document.ParseDefinitions(call(t, broker, http.MethodGet, path, nil))
		if err != nil {
			t.Fatal(err)
		}
		all := d.Topology("/")
		all.Exchanges = append(all.Exchanges, topology.Exchange{Name: "imported", Internal: true})
		all.Queues = append(all.Queues, topology.Queue{Name: "imported", Type: topology.Stream}.With(topology.Argument("x-max-age", "1D")))
		all.Bindings = append(all.Bindings, topology.Binding{Source: "imported", Destination: "imported", Args: topology.Table{"n": int32(5)}})
		if err := d.Set("/", all); err != nil {
			t.Fatal(err)
		}
		text, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		call(t, broker, http.MethodPost, path, text)
		c, err := topology.Compare(t.Context(), nil, all, topology.With(api))
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
	c, err := topology.Compare(t.Context(), nil, d.Topology("/"), topology.With(api))
	if err != nil || !c.Settled() {
		t.Errorf("rabbitmqctl: error %v\n%s", err, c)
	}
}
