package ledger

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// tap has a connection's ledger see a method and its content.
func tap(t *testing.T, c *Conn, way int, channel uint16, m wire.Method, body []byte, headers wire.Table) {
	t.Helper()
	b, err := wire.AppendMethod(nil, channel, m)
	if err != nil {
		t.Fatal(err)
	}
	if wire.HasContent(m.ID()) {
		if b, err = wire.AppendHeader(b, channel, wire.ClassBasic, uint64(len(body)), &wire.Properties{Headers: headers}); err != nil {
			t.Fatal(err)
		}
		b = wire.AppendBody(b, channel, body, wire.FrameMinSize)
	}
	for len(b) > 0 {
		f, n, err := wire.ParseFrame(b, 0)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		c.frame(f, way)
		b = b[n:]
	}
}

// kinds returns the kinds of the records that are not about opening, in order.
func wireRecords(t *testing.T, l *Ledger) (records []Record) {
	t.Helper()
	h, err := l.History()
	if err != nil {
		t.Fatal(err)
	}
	h.each(all, func(r *Record) {
		if r.Kind > ConnOpen && r.Kind != EpochOpen {
			records = append(records, *r)
		}
	})
	return records
}

// openTap returns the ledger of a connection with channel 1 open.
func openTap(t *testing.T) (*Ledger, *Conn) {
	t.Helper()
	l := New(1)
	c := l.Conn()
	tap(t, c, toBroker, 1, &wire.ChannelOpen{}, nil, nil)
	return l, c
}

func TestTapTellsWhatBecameOfABody(t *testing.T) {
	body := ID{Run: 1, Publisher: 2, Seq: 3, Attempt: 4}.AppendBody(nil, 3*wire.FrameMinSize)
	changed := bytes.Clone(body)
	changed[len(changed)-1]++
	other := ID{Run: 1, Publisher: 2, Seq: 4, Attempt: 4}.AppendBody(nil, 100)
	foreign := ID{Run: 9, Publisher: 2, Seq: 3}.AppendBody(nil, 100)
	for name, c := range map[string]struct {
		body    []byte
		headers wire.Table
		flags   Flags
	}{
		"whole":                       {body, Headers(body), 0},
		"without the header":          {body, nil, 0},
		"behind other headers":        {body, wire.Table{Header: Headers(body)[Header], "a": "b", "z": int32(1)}, 0},
		"changed":                     {changed, Headers(body), Corrupt},
		"the header of another":       {other, Headers(body), Corrupt},
		"the header as a string":      {body, wire.Table{Header: string(body[:PrefixSize])}, 0},
		"another's as a string":       {other, wire.Table{Header: string(body[:PrefixSize])}, Corrupt},
		"dead-lettered":               {body, wire.Table{Header: Headers(body)[Header], "x-death": []any{}}, Dead},
		"of another run":              {foreign, nil, Foreign},
		"without an identity":         {[]byte("hello"), nil, Foreign},
		"empty":                       {nil, nil, Foreign},
		"shorter than its own prefix": {body[:PrefixSize-1], nil, Foreign},
	} {
		t.Run(name, func(t *testing.T) {
			l, conn := openTap(t)
			tap(t, conn, toClient, 1, &wire.BasicDeliver{DeliveryTag: 1}, c.body, c.headers)
			records := wireRecords(t, l)
			if len(records) != 1 || records[0].Flags != c.flags {
				t.Fatalf("records %+v, want one with flags %x", records, c.flags)
			}
			if id := records[0]; c.flags != Foreign && (id.Pub != 2 || id.attempt() != 4) {
				t.Errorf("identity %+v", id)
			}
		})
	}
}

func TestTapCountsPublishesInConfirmModeOnly(t *testing.T) {
	l, c := openTap(t)
	publish := func() { tap(t, c, toBroker, 1, &wire.BasicPublish{}, []byte("any"), nil) }
	publish()
	tap(t, c, toBroker, 1, &wire.ConfirmSelect{}, nil, nil)
	publish()
	publish()
	tap(t, c, toBroker, 1, &wire.ChannelClose{}, nil, nil)
	tap(t, c, toBroker, 1, &wire.ChannelOpen{}, nil, nil)
	tap(t, c, toBroker, 1, &wire.ConfirmSelect{}, nil, nil)
	publish()
	var tags []uint64
	for _, r := range wireRecords(t, l) {
		if r.Kind == WirePub {
			tags = append(tags, r.Tag)
		}
	}
	if !slices.Equal(tags, []uint64{0, 1, 2, 1}) {
		t.Errorf("tags %v", tags)
	}
}

func TestTapKnowsConsumersByTheirTags(t *testing.T) {
	l, c := openTap(t)
	tap(t, c, toBroker, 1, &wire.BasicQos{PrefetchCount: 5}, nil, nil)
	tap(t, c, toBroker, 1, &wire.BasicConsume{Queue: "a"}, nil, nil) // the broker names it
	tap(t, c, toBroker, 1, &wire.BasicConsume{Queue: "b", ConsumerTag: "mine", NoAck: true}, nil, nil)
	tap(t, c, toBroker, 1, &wire.BasicConsume{Queue: "c", ConsumerTag: "quiet", NoWait: true}, nil, nil)
	tap(t, c, toClient, 1, &wire.BasicConsumeOk{ConsumerTag: "ctag-1"}, nil, nil)
	tap(t, c, toClient, 1, &wire.BasicConsumeOk{ConsumerTag: "mine"}, nil, nil)
	for i, tag := range []string{"quiet", "ctag-1", "mine", "unknown"} {
		tap(t, c, toClient, 1, &wire.BasicDeliver{ConsumerTag: tag, DeliveryTag: uint64(i + 1)}, nil, nil)
	}
	tap(t, c, toClient, 1, &wire.BasicGetOk{DeliveryTag: 5}, nil, nil)
	tap(t, c, toClient, 1, &wire.BasicCancel{ConsumerTag: "mine"}, nil, nil)
	tap(t, c, toBroker, 1, &wire.BasicCancel{ConsumerTag: "quiet"}, nil, nil)

	var queues, consumers []uint16
	var cancels []Record
	for _, r := range wireRecords(t, l) {
		switch r.Kind {
		case Consume:
			queues = append(queues, r.Node)
		case WireDeliver:
			consumers = append(consumers, high(r.Tag))
			if noAck := r.Flags&NoAck != 0; noAck != (high(r.Tag) == 3) {
				t.Errorf("consumer %d: no-ack %v", high(r.Tag), noAck)
			}
		case Cancel:
			cancels = append(cancels, r)
		}
	}
	if !slices.Equal(queues, []uint16{l.queue("c"), l.queue("a"), l.queue("b")}) {
		t.Errorf("queues %v", queues)
	}
	if !slices.Equal(consumers, []uint16{1, 2, 3, 0, gotten}) {
		t.Errorf("consumers %v", consumers)
	}
	if len(cancels) != 2 || cancels[0].Tag != 3 || cancels[0].Flags != ByServer || cancels[1].Tag != 1 || cancels[1].Flags != 0 {
		t.Errorf("cancels %+v", cancels)
	}
}

func TestTapTellsTheEndOfAChannelOnce(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(t *testing.T, c *Conn)
		flags Flags
		code  uint64
	}{
		"client": {func(t *testing.T, c *Conn) { tap(t, c, toBroker, 1, &wire.ChannelClose{ReplyCode: 200}, nil, nil) }, 0, 200},
		"server": {func(t *testing.T, c *Conn) { tap(t, c, toClient, 1, &wire.ChannelClose{ReplyCode: 404}, nil, nil) }, ByServer, 404},
		"connection by the server": {func(t *testing.T, c *Conn) {
			tap(t, c, toClient, 0, &wire.ConnectionClose{ReplyCode: 320}, nil, nil)
		}, ByServer, 320},
		"lost": {func(*testing.T, *Conn) {}, Lost, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l, conn := openTap(t)
			c.end(t, conn)
			conn.Close()
			conn.Close()
			if r := wireRecords(t, l); len(r) != 1 || r[0].Kind != EpochClose || r[0].Flags != c.flags || r[0].Tag != c.code {
				t.Errorf("records %+v", r)
			}
		})
	}
}

func TestTapSettlesAndConfirms(t *testing.T) {
	l, c := openTap(t)
	tap(t, c, toBroker, 1, &wire.BasicAck{DeliveryTag: 1, Multiple: true}, nil, nil)
	tap(t, c, toBroker, 1, &wire.BasicNack{DeliveryTag: 2, Requeue: true}, nil, nil)
	tap(t, c, toBroker, 1, &wire.BasicReject{DeliveryTag: 3}, nil, nil)
	tap(t, c, toClient, 1, &wire.BasicAck{DeliveryTag: 4}, nil, nil)
	tap(t, c, toClient, 1, &wire.BasicNack{DeliveryTag: 5, Multiple: true, Requeue: true}, nil, nil)
	tap(t, c, toClient, 0, &wire.ConnectionBlocked{}, nil, nil)
	var got []string
	for _, r := range wireRecords(t, l) {
		got = append(got, strings.Join([]string{r.Kind.String(), string(rune('0' + r.Tag)), string(rune('0' + r.Flags))}, " "))
	}
	want := []string{"settle 1 1", "settle 2 6", "settle 3 2", "confirm 4 0", "confirm 5 3", "blocked 0 2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTapSurvivesAnyFrame(t *testing.T) {
	l, c := openTap(t)
	for _, f := range []wire.Frame{
		{Type: wire.FrameMethod, Channel: 1}, {Type: wire.FrameHeader, Channel: 1}, {Type: wire.FrameBody, Channel: 1},
		{Type: wire.FrameMethod, Channel: 7, Payload: []byte{0, 60, 0, 40}}, {Type: wire.FrameHeartbeat},
		{Type: wire.FrameMethod, Channel: 1, Payload: []byte{0, 60, 0, 40}},
		{Type: wire.FrameMethod, Channel: 1, Payload: []byte{0, 60, 0, 60, 255}},
		{Type: wire.FrameMethod, Channel: 1, Payload: []byte{0, 99, 0, 99}},
	} {
		c.ToBroker(f)
		c.ToClient(f)
	}
	if r := wireRecords(t, l); len(r) > 0 {
		t.Errorf("records %+v", r)
	}
}

func TestTapAllocatesNothingForAMessage(t *testing.T) {
	_, c := openTap(t)
	body := scriptID(1).AppendBody(nil, 200)
	frames := func(m wire.Method) (all []wire.Frame) {
		b := packet{1, m, body}.frames()
		for len(b) > 0 {
			f, n, _ := wire.ParseFrame(b, 0)
			all, b = append(all, f), b[n:]
		}
		return all
	}
	publish, deliver := frames(&wire.BasicPublish{RoutingKey: "k"}), frames(&wire.BasicDeliver{RoutingKey: "k"})
	if n := testing.AllocsPerRun(10*chunk, func() {
		for _, f := range publish {
			c.ToBroker(f)
		}
		for _, f := range deliver {
			c.ToClient(f)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a publish and a delivery", n)
	}
}
