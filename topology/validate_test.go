package topology_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/topology"
)

// fields returns "entity: Field" of each problem that err joins.
func fields(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("not joined: %v", err)
	}
	var out []string
	for _, e := range joined.Unwrap() {
		p, ok := errs.AsType[*topology.Problem](e)
		if !ok || p.Err == nil || !strings.HasPrefix(p.Error(), p.Entity.String()) {
			t.Fatalf("no problem: %v", e)
		}
		out = append(out, fmt.Sprintf("%s: %s", p.Entity, p.Field))
	}
	return out
}

// Short forms for the tables below.

func x(name string) topology.Exchange { return topology.Exchange{Name: name} }
func q(name string) topology.Queue    { return topology.Queue{Name: name} }
func b(source, queue string) topology.Binding {
	return topology.Binding{Source: source, Destination: queue}
}
func bx(source, exchange string) topology.Binding {
	return topology.Binding{Source: source, Destination: exchange, ToExchange: true}
}

func queueWith(kind string, args ...topology.Arg) topology.Queue {
	return topology.Queue{Name: "q", Type: kind}.With(args...)
}

var long = strings.Repeat("x", 256)

func TestValidate(t *testing.T) {
	arg := topology.Argument
	for _, c := range []struct {
		name string
		in   any
		want string // the field; "-" none at all
	}{
		{"exchange", x("a"), "-"},
		{"exchange without a name", x(""), "Name"},
		{"reserved exchange", x("amq.mine"), "Name"},
		{"exchange with a long name", x(long), ""},
		{"exchange of a plugin", topology.Exchange{Name: "a", Type: "x-consistent-hash"}, "-"},
		{"exchange of an unknown type", topology.Exchange{Name: "a", Type: "fan-out"}, "Type"},
		{"delayed exchange", topology.Exchange{Name: "a", Type: "x-delayed-message"}.With(arg("x-delayed-type", "topic")), "-"},
		{"delayed exchange of no type", topology.Exchange{Name: "a", Type: "x-delayed-message"}, "x-delayed-type"},
		{"alternate exchange", x("a").With(topology.AlternateExchange("b")), "-"},
		{"alternate exchange of a wrong type", x("a").With(arg("alternate-exchange", 1)), "alternate-exchange"},

		{"queue", q("a"), "-"},
		{"server-named queue", q(""), "-"},
		{"reserved queue", q("amq.mine"), "Name"},
		{"queue of an unknown type", topology.Queue{Name: "a", Type: "lazy"}, "x-queue-type"},
		{"type told twice", topology.Queue{Name: "a", Type: topology.Quorum}.With(arg("x-queue-type", "quorum")), "-"},
		{"types that contradict", topology.Queue{Name: "a", Type: topology.Quorum}.With(arg("x-queue-type", "classic")), "Type"},
		{"arguments that cannot be encoded", q("a").With(arg("x", struct{}{})), ""},
		{"server-named quorum queue", topology.Queue{Type: topology.Quorum}, "Name"},
		{"transient quorum queue", topology.Queue{Name: "a", Type: topology.Quorum, Transient: true}, "Transient"},
		{"exclusive stream", topology.Queue{Name: "a", Type: topology.Stream, Exclusive: true}, "Exclusive"},
		{"auto-delete quorum queue, by argument", topology.Queue{Name: "a", AutoDelete: true}.With(arg("x-queue-type", "quorum")), "AutoDelete"},
		{"argument of an unknown queue type", topology.Queue{Name: "a"}.With(topology.MaxPriority(3)), "-"},
		{"routing key without exchange", q("a").With(arg("x-dead-letter-routing-key", "k")), "x-dead-letter-routing-key"},
		{"somebody's argument", q("a").With(arg("x-whatever", 1)), "-"},

		{"binding", b("a", "q"), "-"},
		{"binding of the default exchange", b("", "q"), "Source"},
		{"binding to the default exchange", bx("a", ""), "Destination"},
		{"binding with a long key", topology.Binding{Source: "a", Destination: "q", RoutingKey: long}, ""},
		{"headers binding", topology.Binding{Source: "amq.headers", Destination: "q", Arguments: topology.Table{"x-match": "any"}}, "-"},
		{"headers binding of a wrong match", topology.Binding{Source: "amq.headers", Destination: "q", Arguments: topology.Table{"x-match": "some"}}, "x-match"},
		{"elsewhere x-match means nothing", topology.Binding{Source: "amq.topic", Destination: "q", Arguments: topology.Table{"x-match": "some"}}, "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in topology.Topology
			switch e := c.in.(type) {
			case topology.Exchange:
				in.Exchanges = []topology.Exchange{e}
			case topology.Queue:
				in.Queues = []topology.Queue{e}
			case topology.Binding:
				in.Bindings = []topology.Binding{e}
			}
			err := in.Validate()
			got := fields(t, err)
			if c.want == "-" && err == nil {
				return
			}
			if len(got) != 1 || !strings.HasSuffix(got[0], ": "+c.want) {
				t.Errorf("problems %q: %v", got, err)
			}
		})
	}
}

func TestValidateNamesEveryProblem(t *testing.T) {
	in := topology.Topology{
		Exchanges: []topology.Exchange{x("amq.x"), {Name: "y", Type: "nonsense"}, {Name: "h", Type: topology.Headers}, x("twice"), {Name: "twice", AutoDelete: true}},
		Queues: []topology.Queue{
			{Name: "z", Type: topology.Stream, Exclusive: true, Arguments: topology.Table{"x-expires": "soon", "x-max-age": 7}},
			q("same"), q("same"), q(""), {Exclusive: true},
		},
		Bindings: []topology.Binding{b("", "z"), {Source: "h", Destination: "z", Arguments: topology.Table{"x-match": 1}}},
	}
	want := []string{
		`exchange "amq.x": Name`, `exchange "y": Type`,
		`queue "z": Exclusive`, `queue "z": x-expires`, `queue "z": x-expires`, `queue "z": x-max-age`,
		`binding of queue "z" to "" with key "": Source`, `binding of queue "z" to "h" with key "": x-match`,
		`exchange "twice": `,
	}
	if got := fields(t, in.Validate()); !slices.Equal(got, want) {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDeclarable(t *testing.T) {
	own := topology.Topology{
		Exchanges: []topology.Exchange{x("a")},
		Queues:    []topology.Queue{q("q"), {Name: "mine", Exclusive: true}, {Exclusive: true}},
		Bindings:  []topology.Binding{b("amq.topic", "q"), bx("a", "amq.fanout"), b("a", "mine"), bx("a", "amq.gen-1")},
	}
	listed := own.Clone()
	listed.Exchanges = append(listed.Exchanges, x(""), x("amq.direct"), x("amq.rabbitmq.trace"))
	listed.Queues = append(listed.Queues, q("amq.gen-1"))
	listed.Bindings = append(listed.Bindings, b("", "q"), b("a", "amq.gen-1"))
	if got := listed.Declarable(); !reflect.DeepEqual(got, own) || got.Validate() != nil {
		t.Errorf("declarable %+v, %v", got, got.Validate())
	}
}

func TestComplete(t *testing.T) {
	in := topology.Topology{
		Exchanges: []topology.Exchange{x("a")},
		Queues:    []topology.Queue{q("q")},
		Bindings: []topology.Binding{b("a", "q"), b("amq.topic", "q"), bx("a", "amq.fanout"), b("nowhere", "q"), b("a", "none"), bx("a", "q"),
			b("amq.topics", "q")},
	}
	want := []string{
		`binding of queue "q" to "nowhere" with key "": Source`,
		`binding of queue "none" to "a" with key "": Destination`,
		`binding of exchange "q" to "a" with key "": Destination`,
		`binding of queue "q" to "amq.topics" with key "": Source`,
	}
	if got := fields(t, in.Complete()); !slices.Equal(got, want) {
		t.Errorf("problems %q", got)
	}
}

func TestWarnings(t *testing.T) {
	arg := topology.Argument
	for _, c := range []struct {
		q    topology.Queue
		want []string
	}{
		{topology.Queue{Name: "q", Transient: true}, []string{"Transient"}},
		{topology.Queue{Name: "q", Transient: true, Exclusive: true}, nil},
		{queueWith("", arg("x-queue-mode", "lazy"), arg("x-queue-version", 1), arg("x-queue-master-locator", "client-local")),
			[]string{"x-queue-master-locator", "x-queue-mode", "x-queue-version"}},
		{queueWith(topology.Quorum, arg("x-max-in-memory-length", 1), arg("x-delivery-limit", "3"), topology.Overflow(topology.RejectPublishDLX)),
			[]string{"x-delivery-limit", "x-max-in-memory-length", "x-overflow", "x-dead-letter-exchange"}},
		{queueWith(topology.Quorum, topology.LeaderLocator("random"), arg("x-delayed-retry-type", "some")),
			[]string{"x-delayed-retry-type", "x-queue-leader-locator", "x-dead-letter-exchange"}},
		{queueWith(topology.Quorum), []string{"x-dead-letter-exchange"}},
		{queueWith(topology.Quorum, topology.DeliveryLimit(0)), []string{"x-dead-letter-exchange"}},
		{queueWith(topology.Quorum, topology.DeliveryLimit(-1)), nil},
		{queueWith(topology.Quorum, topology.DeadLetterRoutingKey("", "dead")), nil},
		{queueWith(topology.Classic), nil},
		{queueWith(topology.Stream), nil},
		{queueWith(""), nil},
		{queueWith("", arg("x-mesage-ttl", 1), arg("X-Max-Length", 1), arg("x_expires", 1), arg("message-ttl", 1), arg("x-delivery-limits", 1)),
			[]string{"X-Max-Length", "message-ttl", "x-delivery-limits", "x-mesage-ttl", "x_expires"}},
		{queueWith("", arg("x-own", 1), arg("x-plugin-setting", 1), arg("x-max-length", 1), arg("x-max-length-bytes", 1)), nil},
		{queueWith(topology.Quorum, topology.DeadLetterAtLeastOnce(), topology.DeadLetter("dlx")), []string{"x-dead-letter-strategy"}},
		{queueWith(topology.Quorum, topology.DeadLetterAtLeastOnce(), topology.DeadLetter("dlx"), topology.Overflow(topology.RejectPublish)), nil},
	} {
		var got []string
		for _, w := range (topology.Topology{Queues: []topology.Queue{c.q}}).Warnings() {
			got = append(got, w.Field)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v %v: warnings %q, want %q", c.q, c.q.Arguments, got, c.want)
		}
	}
}

func TestMisspeltArgumentsOfExchanges(t *testing.T) {
	for key, want := range map[string]string{
		"alternate-exchange": "", "x-delayed-type": "", "hash-header": "", "x-own": "",
		"x-alternate-exchange": "alternate-exchange", "alternate_exchange": "alternate-exchange", "alternative-exchange": "alternate-exchange",
	} {
		w := topology.Topology{Exchanges: []topology.Exchange{x("e").With(topology.Argument(key, "v"))}}.Warnings()
		if want == "" && len(w) != 0 || want != "" && (len(w) != 1 || w[0].Field != key || !strings.HasSuffix(w[0].Error(), want+"?")) {
			t.Errorf("%s: %v", key, w)
		}
	}
}

// TestBoundsOfArguments: the lowest and the highest value are valid, the next is not.
func TestBoundsOfArguments(t *testing.T) {
	const days = 3650 * 24 * 60 * 60 * 1000
	for _, c := range []struct {
		kind, key string
		low, high int64 // high 0: none
	}{
		{topology.Classic, "x-message-ttl", 0, days}, {topology.Quorum, "x-message-ttl", 0, days},
		{topology.Classic, "x-expires", 1, days}, {topology.Quorum, "x-expires", 1, days},
		{topology.Classic, "x-max-length", 0, 0}, {topology.Stream, "x-max-length-bytes", 0, 0},
		{topology.Classic, "x-max-priority", 0, 255}, {topology.Classic, "x-queue-version", 1, 2},
		{topology.Quorum, "x-quorum-initial-group-size", 1, 0}, {topology.Stream, "x-initial-cluster-size", 1, 0},
		{topology.Quorum, "x-consumer-timeout", 0, 0}, {topology.Quorum, "x-max-in-memory-bytes", 0, 0},
		{topology.Stream, "x-stream-max-segment-size-bytes", 0, 3_000_000_000}, {topology.Stream, "x-stream-filter-size-bytes", 16, 255},
	} {
		values := map[int64]bool{c.low - 1: false, c.low: true}
		if c.high > 0 {
			values[c.high], values[c.high+1] = true, false
		} else {
			values[1<<40] = true
		}
		for v, valid := range values {
			err := topology.Topology{Queues: []topology.Queue{queueWith(c.kind, topology.Argument(c.key, v))}}.Validate()
			if (err == nil) != valid {
				t.Errorf("%s %s %d: %v", c.kind, c.key, v, err)
			}
		}
	}
}
