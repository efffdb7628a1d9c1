package topology_test

import (
	"reflect"
	"testing"

	"github.com/warren-mq/warren/topology"
)

// TestDifferencesAreInOneUnit: what is wanted and what is there can be compared by eye.
func TestDifferencesAreInOneUnit(t *testing.T) {
	for _, c := range []struct {
		d    topology.Difference
		want string
	}{
		{topology.Difference{Field: "x-max-age", Have: "7D", Want: "86400s"}, "x-max-age is 7D (168h0m0s), want 86400s (24h0m0s)"},
		{topology.Difference{Field: "x-max-age", Have: "1D", Want: "86400s"},
			"x-max-age is 1D, want 86400s (24h0m0s): the same, but RabbitMQ compares how it is written"},
		{topology.Difference{Field: "x-max-age", Have: "none", Want: "1Y"}, "x-max-age is none, want 1Y (8760h0m0s)"},
		{topology.Difference{Field: "x-message-ttl", Have: "1500", Want: "none"}, "x-message-ttl is 1500 (1.5s), want none"},
		{topology.Difference{Field: "x-max-length-bytes", Have: "1048576", Want: "1500000000"}, "x-max-length-bytes is 1048576 (1 MiB), want 1500000000 (1.39 GiB)"},
		{topology.Difference{Field: "x-max-length-bytes", Have: "1", Want: "1023"}, "x-max-length-bytes is 1, want 1023"},
		{topology.Difference{Field: "x-max-length", Have: "1048576", Want: "2"}, "x-max-length is 1048576, want 2"},
		{topology.Difference{Field: "x-expires", Have: "9223372036854775807", Want: "-1"}, "x-expires is 9223372036854775807, want -1"},
		{topology.Difference{Field: "durable", Have: "true", Want: "false"}, "durable is true, want false"},
	} {
		if got := c.d.String(); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}

// exchangeVariants and queueVariants each differ from the ordinary one in one property.
var (
	exchangeVariants = []topology.Exchange{
		{Name: "e", Type: topology.Fanout}, {Name: "e", Transient: true}, {Name: "e", AutoDelete: true}, {Name: "e", Internal: true},
		{Name: "e", Arguments: topology.Table{"alternate-exchange": "a"}},
	}
	queueVariants = []topology.Queue{
		{Name: "q", Type: topology.Classic}, {Name: "q", Transient: true}, {Name: "q", Exclusive: true}, {Name: "q", AutoDelete: true},
		{Name: "q", Arguments: topology.Table{"x-max-length": 1}},
	}
)

// TestEveryPropertyIsCompared in both directions.
func TestEveryPropertyIsCompared(t *testing.T) {
	for _, e := range exchangeVariants {
		plain := topology.Exchange{Name: "e"}
		if there, back := e.Differences(plain), plain.Differences(e); len(there) != 1 || len(back) != 1 || there[0].Want != back[0].Have {
			t.Errorf("%+v: %v, %v", e, there, back)
		}
	}
	for _, q := range queueVariants {
		plain := topology.Queue{Name: "q"}
		if q.Type != "" {
			q.Type, plain.Type = topology.Quorum, topology.Stream // without a type it is the default's, whichever
		}
		if there, back := q.Differences(plain), plain.Differences(q); len(there) != 1 || len(back) != 1 || there[0].Want != back[0].Have {
			t.Errorf("%+v: %v, %v", q, there, back)
		}
	}
}

// TestTheSameEntityTwice is valid as long as it is the same.
func TestTheSameEntityTwice(t *testing.T) {
	for _, e := range exchangeVariants {
		for _, twice := range [][]topology.Exchange{{e, e}, {e, {Name: "e"}}, {{Name: "e"}, e}} {
			same := reflect.DeepEqual(twice[0], twice[1])
			if err := (topology.Topology{Exchanges: twice}).Validate(); (err == nil) != same {
				t.Errorf("%+v: %v", twice, err)
			}
		}
	}
	for _, v := range queueVariants {
		for _, twice := range [][]topology.Queue{{v, v}, {v, {Name: "q"}}, {{Name: "q"}, v}} {
			same := reflect.DeepEqual(twice[0], twice[1])
			if err := (topology.Topology{Queues: twice}).Validate(); (err == nil) != same {
				t.Errorf("%+v: %v", twice, err)
			}
		}
	}
}
