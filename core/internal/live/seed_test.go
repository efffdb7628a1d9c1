package live

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
)

// first is what a client is first asked for.
var first = map[string]func(t *testing.T, addr string){
	"connection": testConnection, "exchanges": testExchanges, "queues": testQueues, "publish": testPublish,
	"large bodies": testLargeBodies, "every field type": testFieldTypes, "confirms": testConfirms, "returns": testReturns,
	"transactions": testTransactions, "get and acks": testGetAndAcks, "consume": testConsume, "server's cancel": testServerCancel,
	"channel errors": testChannelErrors, "connection errors": testConnectionErrors, "limits": testLimits, "slow link": testSlowLink, "too large": testTooLarge,
	"direct replies": testDirectReplies, "answers out of order": testAnswersOutOfOrder, "ack timeout": testAckTimeout,
	"forwarding": testForwarding, "commit among others": testCommitAmongOthers,
}

// everywhere is what is asked of each of WARREN_VERSIONS.
var everywhere = map[string]func(t *testing.T, addr string){
	"direct replies": testDirectReplies, "answers out of order": testAnswersOutOfOrder, "ack timeout": testAckTimeout,
	"forwarding": testForwarding, "server's cancel": testServerCancel, "commit among others": testCommitAmongOthers,
}

func TestAgainstRabbitMQ(t *testing.T) {
	addr := dockertest.Run(t, docker.MainVersion, docker.Options{}).Addr()
	for name, run := range first {
		t.Run(name, func(t *testing.T) { run(t, addr) })
	}
	for version := range strings.FieldsSeq(os.Getenv("WARREN_VERSIONS")) {
		if version == docker.MainVersion {
			continue
		}
		addr := dockertest.Run(t, version, docker.Options{}).Addr()
		for name, run := range everywhere {
			t.Run(name+" on "+version, func(t *testing.T) { run(t, addr) })
		}
	}
}

// The broker in memory answers the same.
func TestAgainstTheBrokerInMemory(t *testing.T) {
	addr := brokertest.New(t).Addr()
	for name, run := range first {
		t.Run(name, func(t *testing.T) { run(t, addr) })
	}
	for _, version := range docker.Versions {
		addr := brokertest.New(t, brokertest.WithVersion(version)).Addr()
		for name, run := range everywhere {
			t.Run(name+" as "+version, func(t *testing.T) { run(t, addr) })
		}
	}
}

func testConnection(t *testing.T, addr string) {
	s := open(t, addr, core.Config{Name: "orders", ChannelMax: 16, FrameMax: 8192, Heartbeat: 7 * time.Second})
	if got := s.Conn().Tuned(); got != (core.Tuned{ChannelMax: 16, FrameMax: 8192, Heartbeat: 7 * time.Second}) {
		t.Errorf("tuned %+v", got)
	}
	if s.Conn().Server().Properties["product"] != "RabbitMQ" || !s.Conn().Has("publisher_confirms") || !s.Conn().Has("consumer_cancel_notify") {
		t.Errorf("%+v", s.Conn().Server())
	}
	if s.ID() != 1 || s.again().ID() != 2 {
		t.Error("channel ids")
	}
	s.ok(s.Conn().SendHeartbeat())
	s.ok(s.Conn().Err())
	s.ok(s.Conn().CloseWith(s.ctx, 200, "done"))
	if err := s.Conn().Err(); !errors.Is(err, core.ErrClosed) {
		t.Error(err)
	}
	if _, err := s.Conn().Channel(s.ctx); !errors.Is(err, core.ErrClosed) {
		t.Error(err)
	}
	open(t, addr, core.Config{Heartbeat: -1}) // and again
}

func testExchanges(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	for _, kind := range []string{"direct", "fanout", "topic", "headers"} {
		s.exchange(kind)
	}
	source, destination, q := s.exchange("topic"), s.exchange("direct"), s.queue()
	s.ok(s.ExchangeDeclare(s.ctx, core.ExchangeDeclare{Exchange: source, Passive: true}))
	s.ok(s.ExchangeBind(s.ctx, core.ExchangeBind{Destination: destination, Source: source, RoutingKey: "a.*"}))
	s.ok(s.QueueBind(s.ctx, core.QueueBind{Queue: q, Exchange: destination, RoutingKey: "a.b"}))
	s.ok(s.Publish(s.ctx, &core.Publishing{Exchange: source, RoutingKey: "a.b", Body: []byte("through both")}))
	if d := s.get(q); string(d.Body) != "through both" || d.Exchange != source {
		t.Errorf("%+v", d)
	}
	s.fails(s.again().ExchangeDelete(s.ctx, core.ExchangeDelete{Exchange: source, IfUnused: true}), core.ErrPreconditionFailed, core.ScopeChannel)
	s.routes(source, "a.b", core.OutcomeConfirmed)
	s.get(q)
	s.ok(s.ExchangeBind(s.ctx, core.ExchangeBind{Destination: destination, Source: source, RoutingKey: "other"})) // it is deleted with its last one
	s.ok(s.ExchangeUnbind(s.ctx, core.ExchangeUnbind{Destination: destination, Source: source, RoutingKey: "a.*"}))
	s.routes(source, "a.b", core.OutcomeReturned)
	if n := s.count(q); n != 0 {
		t.Errorf("%d messages were routed after the unbind", n)
	}
	s.ok(s.ExchangeDelete(s.ctx, core.ExchangeDelete{Exchange: name()})) // which never was
	s.ok(s.ExchangeDelete(s.ctx, core.ExchangeDelete{Exchange: destination, NoWait: true}))

	internal := name()
	s.ok(s.ExchangeDeclare(s.ctx, core.ExchangeDeclare{Exchange: internal, Type: "fanout", Internal: true, Durable: true, AutoDelete: true}))
	other := s.again()
	s.ok(other.Publish(s.ctx, &core.Publishing{Exchange: internal}))
	<-other.Done()
	s.fails(other.Err(), core.ErrAccessRefused, core.ScopeChannel)
	s.ok(s.ExchangeDelete(s.ctx, core.ExchangeDelete{Exchange: internal}))

	for name, m := range map[core.Code]core.ExchangeDeclare{
		core.ErrNotFound:           {Exchange: name(), Passive: true},
		core.ErrAccessRefused:      {Exchange: "amq.mine", Type: "direct"},
		core.ErrPreconditionFailed: {Exchange: "amq.topic", Type: "direct", Durable: true},
	} {
		s.fails(s.again().ExchangeDeclare(s.ctx, m), name, core.ScopeChannel)
	}
	s.fails(s.again().ExchangeDelete(s.ctx, core.ExchangeDelete{Exchange: ""}), core.ErrAccessRefused, core.ScopeChannel)
}

func testQueues(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	q, err := s.QueueDeclare(s.ctx, core.QueueDeclare{Exclusive: true})
	s.ok(err)
	if q.Queue == "" || q.MessageCount != 0 || q.ConsumerCount != 0 {
		t.Errorf("%+v", q)
	}
	// "" is the queue declared last on this channel.
	s.ok(s.QueueBind(s.ctx, core.QueueBind{Exchange: "amq.topic", RoutingKey: "k", Arguments: core.Table{"a": int32(1)}}))
	for range 3 {
		s.ok(s.Publish(s.ctx, &core.Publishing{Exchange: "amq.topic", RoutingKey: "k"}))
	}
	s.get("")
	if n, err := s.QueuePurge(s.ctx, core.QueuePurge{}); err != nil || n != 2 {
		t.Errorf("purged %d, %v", n, err)
	}
	s.routes("amq.topic", "k", core.OutcomeConfirmed)
	s.get("")
	s.ok(s.QueueUnbind(s.ctx, core.QueueUnbind{Queue: q.Queue, Exchange: "amq.topic", RoutingKey: "k", Arguments: core.Table{"a": int32(1)}}))
	s.routes("amq.topic", "k", core.OutcomeReturned)
	s.ok(s.QueueUnbind(s.ctx, core.QueueUnbind{Queue: q.Queue, Exchange: "amq.topic", RoutingKey: "never was"}))
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q.Queue}))
	s.get(q.Queue)
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q.Queue}))
	s.awaitCount(q.Queue, 1) // the channel that deletes next is not the one that published
	_, err = s.again().QueueDelete(s.ctx, core.QueueDelete{Queue: q.Queue, IfEmpty: true})
	s.fails(err, core.ErrPreconditionFailed, core.ScopeChannel)
	_, err = s.QueueDelete(s.ctx, core.QueueDelete{}) // the one declared last
	s.ok(err)
	s.deletesOne()
	if n, err := s.QueueDelete(s.ctx, core.QueueDelete{Queue: name()}); err != nil || n != 0 {
		t.Errorf("deleted %d, %v", n, err)
	}

	exclusive := s.queue()
	_, err = open(t, addr, core.Config{}).QueueDeclare(s.ctx, core.QueueDeclare{Queue: exclusive, Passive: true})
	s.fails(err, core.ErrResourceLocked, core.ScopeChannel)
	for code, m := range map[core.Code]core.QueueDeclare{
		core.ErrNotFound:           {Queue: name(), Passive: true},
		core.ErrAccessRefused:      {Queue: "amq.mine", Exclusive: true},
		core.ErrPreconditionFailed: {Queue: exclusive, Exclusive: true, Arguments: core.Table{"x-max-length": 5}},
	} {
		_, err := s.again().QueueDeclare(s.ctx, m)
		s.fails(err, code, core.ScopeChannel)
	}
	// An int beyond 32 bits reaches the broker as it is.
	huge := core.QueueDeclare{Queue: name(), Exclusive: true, Arguments: core.Table{"x-max-length-bytes": 5_000_000_000}}
	_, err = s.QueueDeclare(s.ctx, huge)
	s.ok(err)
	huge.Arguments = core.Table{"x-max-length-bytes": 705_032_704}
	_, err = s.again().QueueDeclare(s.ctx, huge)
	s.fails(err, core.ErrPreconditionFailed, core.ScopeChannel)
}

func testPublish(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	q := s.queue()
	props := core.Properties{
		ContentType: "text/plain", ContentEncoding: "utf-8", Headers: core.Table{"a": "x"}, DeliveryMode: 2, Priority: 5,
		CorrelationID: "c", ReplyTo: "r", Expiration: "60000", MessageID: "m", Timestamp: time.Unix(1_700_000_000, 0).UTC(),
		Type: "t", UserID: "guest", AppID: "app",
	}
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q, Properties: props, Body: []byte("body")}))
	d := s.get(q)
	if got := d.Properties(); !reflect.DeepEqual(got, props) || string(d.Body) != "body" || d.RoutingKey != q || d.Redelivered {
		t.Errorf("%+v, %+v", d, got)
	}
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q, Properties: core.Properties{Headers: core.Table{"only": true}}}))
	if d := s.get(q); len(d.Body) != 0 || d.Properties().Headers["only"] != true {
		t.Errorf("%+v", d)
	}
}

func testLargeBodies(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	q := s.queue()
	for _, size := range []int{1, 131064, 131065, 256 << 10, 256<<10 + 1, 1 << 20, 11 << 20} {
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q, Body: body}))
		if d := s.get(q); !bytes.Equal(d.Body, body) {
			t.Errorf("size %d: another body", size)
		}
	}
}

func testFieldTypes(t *testing.T, addr string) {
	s := open(t, addr, core.Config{})
	q := s.queue()
	headers := core.Table{
		"bool": true, "int8": int8(-1), "uint8": uint8(255), "int16": int16(-300), "uint16": uint16(65535), "int32": int32(-70000),
		"uint32": uint32(4_000_000_000), "int64": int64(-5_000_000_000), "float32": float32(1.5), "float64": 2.25,
		"decimal": core.Decimal{Scale: 2, Value: 31415}, "string": "grün", "bytes": []byte{0, 255}, "time": time.Unix(1_700_000_000, 0).UTC(),
		"nil": nil, "table": core.Table{"deep": core.Table{"er": int32(1)}}, "array": []any{true, false, "x", int64(1), core.Table{"k": nil}},
	}
	s.ok(s.Publish(s.ctx, &core.Publishing{RoutingKey: q, Properties: core.Properties{Headers: headers}}))
	got := s.get(q).Properties().Headers
	for k, want := range headers {
		if !reflect.DeepEqual(got[k], want) {
			t.Errorf("%s: %T %v, want %T %v", k, got[k], got[k], want, want)
		}
	}
}
