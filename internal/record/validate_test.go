package record_test

import (
	"testing"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// predeclaredExchanges are exchanges with reserved names: as they are, otherwise, and
// one that there is not.
func predeclaredExchanges() []topology.Exchange {
	return append(asPredeclared(),
		topology.Exchange{Name: "amq.validate"},
		topology.Exchange{Name: "amq.topic", Type: topology.Fanout},
		topology.Exchange{Name: "amq.topic"},
		topology.Exchange{Name: "amq.topic", Type: topology.Topic, Transient: true},
		topology.Exchange{Name: "amq.topic", Type: topology.Topic, AutoDelete: true},
		topology.Exchange{Name: "amq.topic", Type: topology.Topic, Internal: true},
		topology.Exchange{Name: "amq.topic", Type: topology.Topic}.With(topology.AlternateExchange("x")),
		topology.Exchange{Name: "amq.rabbitmq.trace", Type: topology.Topic},
	)
}

func asPredeclared() []topology.Exchange {
	return []topology.Exchange{
		{Name: "amq.direct"},
		{Name: "amq.fanout", Type: topology.Fanout},
		{Name: "amq.topic", Type: topology.Topic},
		{Name: "amq.headers", Type: topology.Headers},
		{Name: "amq.match", Type: topology.Headers},
		{Name: "amq.rabbitmq.trace", Type: topology.Topic, Internal: true},
		topology.Exchange{Name: "amq.direct"}.With(topology.Argument("x-own", 1)), // is not looked at
	}
}

// TestPredeclaredExchangesCanBeDeclaredAsTheyAre, and the brokers agree.
func TestPredeclaredExchangesCanBeDeclaredAsTheyAre(t *testing.T) {
	conn, err := core.Dial(t.Context(), core.Config{DialContext: brokertest.New(t).DialContext})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	valid := 0
	for _, e := range predeclaredExchanges() {
		one := topology.Topology{Exchanges: []topology.Exchange{e}}
		verdict := one.Validate()
		results, err := record.Replay(t.Context(), conn, record.Plan(one)[0].Steps)
		if err != nil {
			t.Fatal(err)
		}
		if (verdict == nil) != (results[0].Err == nil) {
			t.Errorf("%v %+v\nbroker: %v\nValidate: %v", e, e, results[0].Err, verdict)
		}
		if verdict == nil {
			valid++
		}
	}
	if want := len(asPredeclared()); valid != want {
		t.Errorf("%d are valid, want %d", valid, want)
	}
}
