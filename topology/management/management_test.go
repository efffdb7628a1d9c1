package management_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/topology"
	"github.com/warren-mq/warren/topology/compare"
	"github.com/warren-mq/warren/topology/management"
)

// serve answers by path.
func serve(t *testing.T, answers map[string]string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		answer, ok := answers[r.URL.EscapedPath()]
		switch {
		case user != "ops" || password != "secret":
			w.WriteHeader(http.StatusUnauthorized)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"error":"Object Not Found","reason":"Not Found"}`))
		default:
			_, _ = w.Write([]byte(answer))
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestTopology(t *testing.T) {
	url := serve(t, map[string]string{
		"/api/exchanges/a%2Fb": `[{"name":"","type":"direct","durable":true,"arguments":[]},
			{"name":"x","type":"topic","durable":false,"auto_delete":true,"internal":true,"arguments":{"alternate-exchange":"ae"},"vhost":"a/b"}]`,
		"/api/queues/a%2Fb": `[{"name":"q","type":"quorum","durable":true,"arguments":{"x-queue-type":"quorum","x-delivery-limit":5,"x-big":86400000000,
			"x-list":[1,2.5,{"k":null}],"x-huge":99999999999999999999}},{"name":"amq.gen-1","exclusive":true,"auto_delete":true,"arguments":{}}]`,
		"/api/bindings/a%2Fb": `[{"source":"x","destination":"q","destination_type":"queue","routing_key":"k","arguments":{"n":1}},
			{"source":"x","destination":"y","destination_type":"exchange","routing_key":"","arguments":{}}]`,
	})
	c := &management.Client{URL: url + "/", VHost: "a/b", Username: "ops", Password: "secret"}
	got, err := c.Topology(t.Context())
	want := topology.Topology{
		Exchanges: []topology.Exchange{{Type: "direct"}, {Name: "x", Type: "topic", Transient: true, AutoDelete: true, Internal: true,
			Arguments: topology.Table{"alternate-exchange": "ae"}}},
		Queues: []topology.Queue{
			{Name: "q", Type: topology.Quorum, Arguments: topology.Table{"x-delivery-limit": int64(5), "x-big": int64(86400000000),
				"x-list": []any{int64(1), 2.5, topology.Table{"k": nil}}, "x-huge": 1e20}},
			{Name: "amq.gen-1", Transient: true, Exclusive: true, AutoDelete: true},
		},
		Bindings: []topology.Binding{{Source: "x", Destination: "q", RoutingKey: "k", Arguments: topology.Table{"n": int64(1)}}, {Source: "x", Destination: "y", ToExchange: true}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("error %v\ngot  %#v\nwant %#v", err, got, want)
	}
}

func TestErrors(t *testing.T) {
	url := serve(t, map[string]string{"/api/exchanges/odd": `[{"name":1}]`})
	for _, c := range []struct {
		name   string
		client management.Client
		status int
	}{
		{"wrong credentials", management.Client{URL: url}, http.StatusUnauthorized},
		{"no such virtual host", management.Client{URL: url, VHost: "none", Username: "ops", Password: "secret"}, http.StatusNotFound},
		{"not understood", management.Client{URL: url, VHost: "odd", Username: "ops", Password: "secret"}, 0},
		{"nobody there", management.Client{URL: "http://127.0.0.1:1", Username: "ops", Password: "secret"}, 0},
		{"a password and no user", management.Client{URL: url, Password: "secret"}, 0},
		{"no URL", management.Client{URL: "://", Username: "ops", Password: "secret"}, 0},
	} {
		_, err := c.client.Topology(t.Context())
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		if s, ok := errs.AsType[*management.StatusError](err); ok != (c.status > 0) || ok && s.Status != c.status {
			t.Errorf("%s: %v", c.name, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is in the error: %v", c.name, err)
		}
	}
}

var _ compare.Inventory = (*management.Client)(nil)

var _ core.Secret = management.Client{}.Password
