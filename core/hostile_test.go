package core

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
)

// rawFrame is a frame with any content and a correct frame around it.
func rawFrame(typ uint8, ch uint16, payload []byte) []byte {
	b := []byte{typ, byte(ch >> 8), byte(ch)}
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	return append(append(b, payload...), wire.FrameEnd)
}

// deliverWith is a deliver whose content header has this property list.
func deliverWith(t *testing.T, size uint64, properties []byte) []byte {
	b := encoded(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1})
	h := []byte{0, 60, 0, 0}
	h = binary.BigEndian.AppendUint64(h, size)
	return append(b, rawFrame(wire.FrameHeader, 1, append(h, properties...))...)
}

// headers is a property list of nothing but a headers table with this content.
func headers(table []byte) []byte {
	b := []byte{0x20, 0}
	b = binary.BigEndian.AppendUint32(b, uint32(len(table)))
	return append(b, table...)
}

// nested is n tables or arrays inside each other.
func nested(tag byte, n int) []byte {
	head := []byte{1, 'k', tag}
	if tag == 'A' {
		head = []byte{tag}
	}
	var b []byte
	if tag == 'A' {
		b = []byte{1, 'k'}
	}
	for level := range n {
		b = append(b, head...)
		b = binary.BigEndian.AppendUint32(b, uint32((n-1-level)*(len(head)+4)))
	}
	return b
}

func patch(b []byte, at int, with ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	return b
}

// ends says how a row ends.
type ends struct {
	scope  Scope
	code   Code
	ignore bool   // nothing ends
	count  uint64 // of what was ignored
}

func conn(code Code) ends    { return ends{scope: ScopeConnection, code: code} }
func channel(code Code) ends { return ends{scope: ScopeChannel, code: code} }

func ignored(n uint64) ends { return ends{ignore: true, count: n} }

// hostile is what a server may send on an open connection: channel 1 is open
// and in confirm mode, with one publish outstanding and the consumer "c".
// Answers are twice what may wait unread: the writer may take them once, at any moment.
func hostile(t *testing.T) map[string]struct {
	in   []byte
	ends ends
} {
	beat := wire.AppendHeartbeat(nil)
	ack := wire.AppendAck(nil, 1, 1, false)
	deliver := encoded(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1})
	body := rawFrame(wire.FrameBody, 1, []byte("0123456789"))
	type row = struct {
		in   []byte
		ends ends
	}
	return map[string]row{
		"frame above the negotiated size":              {rawFrame(wire.FrameBody, 1, make([]byte, 200_000)), conn(ErrFrame)},
		"frame size of 4 GiB":                          {[]byte{wire.FrameBody, 0, 1, 255, 255, 255, 255}, conn(ErrFrame)},
		"frame size that wraps":                        {[]byte{wire.FrameMethod, 0, 1, 255, 255, 255, 248, 0}, conn(ErrFrame)},
		"wrong frame end":                              {patch(ack, len(ack)-1, 0), conn(ErrFrame)},
		"unknown frame type":                           {patch(ack, 0, 77), conn(ErrFrame)},
		"frame type 0":                                 {patch(ack, 0, 0), conn(ErrFrame)},
		"heartbeat on a channel":                       {patch(beat, 2, 1), conn(ErrUnexpectedFrame)},
		"heartbeat with a payload":                     {rawFrame(wire.FrameHeartbeat, 0, []byte{1}), conn(ErrFrame)},
		"another protocol":                             {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), conn(ErrFrame)},
		"method frame without a method":                {rawFrame(wire.FrameMethod, 1, []byte{0, 60}), conn(ErrFrame)},
		"empty method frame":                           {rawFrame(wire.FrameMethod, 0, nil), conn(ErrFrame)},
		"unknown class":                                {rawFrame(wire.FrameMethod, 1, []byte{0, 99, 0, 1}), conn(ErrCommandInvalid)},
		"unknown method":                               {rawFrame(wire.FrameMethod, 1, []byte{0, 60, 0, 99}), conn(ErrNotImplemented)},
		"arguments cut off":                            {rawFrame(wire.FrameMethod, 1, []byte{0, 60, 0, 80, 0}), conn(ErrSyntax)},
		"arguments with more behind":                   {rawFrame(wire.FrameMethod, 0, append([]byte{0, 10, 0, 61}, make([]byte, 1000)...)), ignored(1)},
		"a client's method":                            {encoded(t, 1, &wire.QueueDeclare{Queue: "q"}), conn(ErrCommandInvalid)},
		"table longer than its frame":                  {deliverWith(t, 0, []byte{0x20, 0, 127, 255, 255, 255}), conn(ErrSyntax)},
		"string longer than its table":                 {deliverWith(t, 0, headers([]byte{1, 'k', 'S', 127, 255, 255, 255})), conn(ErrSyntax)},
		"bytes of negative length":                     {deliverWith(t, 0, headers([]byte{1, 'k', 'x', 255, 255, 255, 255})), conn(ErrSyntax)},
		"key longer than its table":                    {deliverWith(t, 0, headers([]byte{200, 'k'})), conn(ErrSyntax)},
		"unknown field type":                           {deliverWith(t, 0, headers([]byte{1, 'k', '?', 0})), conn(ErrSyntax)},
		"tables nested for a whole frame":              {deliverWith(t, 0, headers(nested('F', 18_000))), conn(ErrSyntax)},
		"arrays nested for a whole frame":              {deliverWith(t, 0, headers(nested('A', 25_000))), conn(ErrSyntax)},
		"fields without end":                           {deliverWith(t, 0, headers(bytes.Repeat([]byte{0, 'V'}, 60_000))), conn(ErrSyntax)},
		"property flags without end":                   {deliverWith(t, 0, bytes.Repeat([]byte{255, 255}, 50_000)), conn(ErrSyntax)},
		"names that are no UTF-8":                      {contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1, RoutingKey: "\xff\x00\xfe"}, wire.Properties{MessageID: "\xc3\x28"}, nil), ignored(0)},
		"method on a channel never opened":             {wire.AppendAck(nil, 77, 1, false), conn(ErrChannel)},
		"method on a channel beyond the last":          {wire.AppendAck(nil, 65535, 1, false), conn(ErrChannel)},
		"content on channel 0":                         {rawFrame(wire.FrameBody, 0, []byte("x")), conn(ErrUnexpectedFrame)},
		"reply nobody asked for":                       {encoded(t, 1, &wire.QueueBindOk{}), conn(ErrCommandInvalid)},
		"reply nobody asked for on channel 0":          {encoded(t, 0, &wire.ConnectionUpdateSecretOk{}), conn(ErrCommandInvalid)},
		"close-ok nobody asked for":                    {encoded(t, 0, &wire.ConnectionCloseOk{}), conn(ErrCommandInvalid)},
		"channel close-ok nobody asked for":            {encoded(t, 1, &wire.ChannelCloseOk{}), conn(ErrCommandInvalid)},
		"connection.start again":                       {encoded(t, 0, start()), conn(ErrCommandInvalid)},
		"connection.tune again":                        {encoded(t, 0, tune()), conn(ErrCommandInvalid)},
		"channel method on channel 0":                  {wire.AppendAck(nil, 0, 1, false), conn(ErrCommandInvalid)},
		"connection method on a channel":               {encoded(t, 1, &wire.ConnectionBlocked{}), conn(ErrCommandInvalid)},
		"header without a method":                      {rawFrame(wire.FrameHeader, 1, make([]byte, 14)), conn(ErrUnexpectedFrame)},
		"body without a header":                        {body, conn(ErrUnexpectedFrame)},
		"body right behind the method":                 {append(bytes.Clone(deliver), body...), conn(ErrUnexpectedFrame)},
		"header twice":                                 {append(deliverWith(t, 10, []byte{0, 0}), rawFrame(wire.FrameHeader, 1, []byte{0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})...), conn(ErrUnexpectedFrame)},
		"header of another class":                      {append(bytes.Clone(deliver), rawFrame(wire.FrameHeader, 1, []byte{0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})...), conn(ErrUnexpectedFrame)},
		"header cut off":                               {append(bytes.Clone(deliver), rawFrame(wire.FrameHeader, 1, []byte{0, 60})...), conn(ErrFrame)},
		"body longer than announced":                   {append(deliverWith(t, 9, []byte{0, 0}), body...), conn(ErrFrame)},
		"body shorter than announced":                  {append(append(deliverWith(t, 11, []byte{0, 0}), body...), ack...), conn(ErrUnexpectedFrame)},
		"body of 2^40":                                 {append(deliverWith(t, 1<<40, []byte{0, 0}), bytes.Repeat(body, 1000)...), channel(ErrContentTooLarge)},
		"body of 2^64-1":                               {append(deliverWith(t, 1<<64-1, []byte{0, 0}), body...), channel(ErrContentTooLarge)},
		"body announced and not sent":                  {deliverWith(t, 64<<20, []byte{0, 0}), ignored(0)},
		"empty body frames without end":                {append(deliverWith(t, 10, []byte{0, 0}), bytes.Repeat(rawFrame(wire.FrameBody, 1, nil), 100_000)...), conn(ErrFrame)},
		"confirm of tag 0":                             {wire.AppendAck(nil, 1, 0, false), conn(ErrCommandInvalid)},
		"confirm of a tag never published":             {wire.AppendAck(nil, 1, 2, false), conn(ErrCommandInvalid)},
		"confirm of all tags there could be":           {wire.AppendAck(nil, 1, 1<<64-1, true), conn(ErrCommandInvalid)},
		"confirms again and again":                     {bytes.Repeat(ack, 50_000), ignored(49_999)},
		"nacks of what was acked":                      {append(bytes.Clone(ack), bytes.Repeat(wire.AppendNack(nil, 1, 1, true, true), 50_000)...), ignored(50_000)},
		"delivery tag again":                           {append(contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 9}, wire.Properties{}, nil), contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 9}, wire.Properties{}, nil)...), channel(ErrCommandInvalid)},
		"delivery to nobody":                           {contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: "nobody", DeliveryTag: 1}, wire.Properties{}, nil), ignored(0)},
		"deliveries to nobody, unread answers":         {manyDeliveries(t, "nobody", 120_000), conn(ErrResource)},
		"returns of nothing":                           {bytes.Repeat(contentFrames(t, 1, &wire.BasicReturn{ReplyCode: 312}, wire.Properties{}, nil), 10_000), ignored(10_000)},
		"blocked and unblocked without end":            {bytes.Repeat(encoded(t, 0, &wire.ConnectionBlocked{}, &wire.ConnectionUnblocked{}), 20_000), ignored(0)},
		"cancels without end":                          {bytes.Repeat(encoded(t, 1, &wire.BasicCancel{ConsumerTag: "c"}), 50_000), ignored(49_999)},
		"flow without end, unread answers":             {bytes.Repeat(encoded(t, 1, &wire.ChannelFlow{Active: true}), 200_000), conn(ErrResource)},
		"channel closes again and again":               {bytes.Repeat(encoded(t, 1, &wire.ChannelClose{ReplyCode: 404}), 1000), channel(ErrNotFound)},
		"channel closes without end, unread answers":   {bytes.Repeat(encoded(t, 1, &wire.ChannelClose{ReplyCode: 404}), 200_000), conn(ErrResource)},
		"channel close-oks without end":                {append(encoded(t, 1, &wire.ChannelClose{ReplyCode: 404}), bytes.Repeat(encoded(t, 1, &wire.ChannelCloseOk{}), 50_000)...), channel(ErrNotFound)},
		"channel close on a channel never opened":      {encoded(t, 77, &wire.ChannelClose{ReplyCode: 404}), conn(ErrChannel)},
		"channel close-ok on a channel never opened":   {encoded(t, 77, &wire.ChannelCloseOk{}), conn(ErrChannel)},
		"a reply on a channel that is closed":          {append(encoded(t, 1, &wire.ChannelClose{ReplyCode: 404}), encoded(t, 1, &wire.QueueBindOk{})...), conn(ErrChannel)},
		"heartbeats without end":                       {bytes.Repeat(beat, 100_000), ignored(0)},
		"channel closed for a reason with line breaks": {encoded(t, 1, &wire.ChannelClose{ReplyCode: 406, ReplyText: "a\nb\x1b[31m\u0085"}), channel(ErrPreconditionFailed)},
	}
}

func manyDeliveries(t *testing.T, consumer string, n int) []byte {
	var b []byte
	for tag := range uint64(n) {
		b = append(b, contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: consumer, DeliveryTag: tag + 1}, wire.Properties{}, nil)...)
	}
	return b
}

// Hostile bytes end what they must, with a typed error, little memory and
// little time, and never the process.
func TestHostileServer(t *testing.T) {
	for name, row := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			inBudget(t, func() {
				bubble(t, func(t *testing.T) { playHostile(t, row.in, row.ends) })
			})
		})
	}
}

// inBudget runs f, which must take at most half a second of real time, five
// under the race detector. What else the machine does takes time too, so the
// quickest of three runs counts.
func inBudget(t *testing.T, f func()) {
	t.Helper()
	const limit = 500 * time.Millisecond * slower
	var took time.Duration
	for range 3 {
		begin := time.Now()
		f()
		if took = time.Since(begin); took <= limit || t.Failed() {
			return
		}
	}
	t.Errorf("took %s, three times in a row; at most %s are allowed", took, limit)
}

// inMemory runs f, which may allocate at most limit bytes.
func inMemory(t *testing.T, limit uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > limit {
		t.Errorf("%d bytes allocated, the limit is %d", used, limit)
	}
}

func playHostile(t *testing.T, in []byte, want ends) {
	ch, p := openChannel(t, Config{Heartbeat: 5 * time.Second, WriteTimeout: time.Hour})
	p.confirm(ch)
	p.consume(ch, BasicConsume{ConsumerTag: "c"})
	conf := publishes(t, p, ch, 1)[0]
	sibling := p.channel(ch.Conn())
	p.nc.In().SetBuffer(0) // nothing is read any more
	inMemory(t, uint64(4<<20+30*len(in)), func() {
		p.nc.Out().SetBuffer(len(in))
		p.raw(in)
		synctest.Wait()
	})
	time.Sleep(flushTimeout) // for the complaint that the server does not read
	synctest.Wait()
	connErr, chErr := ch.Conn().Err(), ch.Err()
	switch {
	case want.ignore:
		noErr(t, connErr)
		noErr(t, chErr)
		if n := ch.Conn().Stats().Ignored; n != want.count {
			t.Errorf("%d ignored, want %d", n, want.count)
		}
		return
	case want.scope == ScopeChannel:
		noErr(t, connErr)
		noErr(t, sibling.Err())
	default:
		<-ch.Conn().Done()
		chErr = connErr
	}
	e := mustAs[*Error](t, chErr)
	if e.Code != want.code || e.Scope != want.scope {
		t.Errorf("%+v, want %v of the %s", e, want.code, want.scope)
	}
	if s := e.Error(); strings.ContainsAny(s, "\n\r\x1b\u0085") {
		t.Errorf("raw control characters in %q", s)
	}
	if v := conf.Verdict(); v.Outcome == OutcomePending {
		t.Error("a publish without a verdict")
	}
}

// handshakes that a server may spoil, with the error's code; 0 for none.
func TestHostileHandshake(t *testing.T) {
	big := start()
	big.ServerProperties = wire.Table{"x": strings.Repeat("y", 9000)}
	deep := start()
	deep.ServerProperties = wire.Table{}
	bomb := encoded(t, 0, start())
	for name, tt := range map[string]struct {
		in   []byte
		code Code
	}{
		"start larger than 8 KiB":  {encoded(t, 0, big), ErrFrame},
		"start cut off":            {rawFrame(wire.FrameMethod, 0, bomb[7:30]), ErrSyntax},
		"a frame of another type":  {rawFrame(wire.FrameBody, 0, nil), ErrUnexpectedFrame},
		"a frame on a channel":     {encoded(t, 1, start()), ErrUnexpectedFrame},
		"unknown frame type":       {rawFrame(99, 0, nil), ErrFrame},
		"frame size of 4 GiB":      {[]byte{wire.FrameMethod, 0, 0, 255, 255, 255, 255}, ErrFrame},
		"a table bomb":             {rawFrame(wire.FrameMethod, 0, append([]byte{0, 10, 0, 10, 0, 9}, headers(nested('F', 1000))[2:]...)), ErrSyntax},
		"heartbeats without end":   {bytes.Repeat(wire.AppendHeartbeat(nil), 10_000), 0},
		"a start that is no start": {encoded(t, 0, &wire.ConnectionBlocked{}), ErrCommandInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			inBudget(t, func() {
				bubble(t, func(t *testing.T) { playHostileHandshake(t, tt.in, tt.code) })
			})
		})
	}
}

func playHostileHandshake(t *testing.T, in []byte, code Code) {
	p, nc := newPeer(t)
	dial := async(func() (*Conn, error) { return Open(bg, nc, Config{}) })
	p.header()
	var err error
	inMemory(t, uint64(1<<20+30*len(in)), func() {
		p.raw(in)
		err = dial.fail(t)
	})
	if code == 0 {
		mustIs(t, err, ErrTimeout)
		return
	}
	if e, ok := errs.AsType[*Error](err); !ok || e.Code != code {
		t.Errorf("%v, want %v", err, code)
	}
	p.hangsUp()
}

// Whatever a server proposes, the frame sizes and limits stay usable.
func TestHostileTune(t *testing.T) {
	for _, tune := range []*wire.ConnectionTune{
		{}, {FrameMax: 1}, {FrameMax: 4095}, {FrameMax: 1<<32 - 1, ChannelMax: 65535, Heartbeat: 65535}, {ChannelMax: 1, FrameMax: 8, Heartbeat: 1},
	} {
		inBudget(t, func() {
			bubble(t, func(t *testing.T) {
				inMemory(t, 4<<20, func() { playHostileTune(t, tune) })
			})
		})
	}
}

func playHostileTune(t *testing.T, tune *wire.ConnectionTune) {
	c, p := openTuned(t, Config{}, tune)
	ch := p.channel(c)
	body := bytes.Repeat([]byte("x"), 10_000)
	noErr(t, ch.Publish(bg, &Publishing{Body: body}))
	if got := p.content(1); !bytes.Equal(got.body, body) {
		t.Errorf("%+v: body of %d bytes", tune, len(got.body))
	}
}

// serverMethods is one of each method that a server may send, with every argument set.
func serverMethods() []wire.Method {
	table := wire.Table{"a": "b", "t": wire.Table{"n": int64(1)}}
	return []wire.Method{
		&wire.ConnectionStart{VersionMinor: 9, ServerProperties: table, Mechanisms: "PLAIN", Locales: "en_US"},
		&wire.ConnectionSecure{Challenge: []byte("c")}, tune(), &wire.ConnectionOpenOk{},
		&wire.ConnectionClose{ReplyCode: 320, ReplyText: "t", ClassID: 10, MethodID: 40}, &wire.ConnectionBlocked{Reason: "r"},
		&wire.ChannelOpenOk{}, &wire.ChannelFlow{Active: true}, &wire.ChannelFlowOk{Active: true},
		&wire.ChannelClose{ReplyCode: 404, ReplyText: "t", ClassID: 50, MethodID: 10},
		&wire.QueueDeclareOk{Queue: "q", MessageCount: 1, ConsumerCount: 2}, &wire.QueuePurgeOk{MessageCount: 1}, &wire.QueueDeleteOk{MessageCount: 1},
		&wire.BasicConsumeOk{ConsumerTag: "c"}, &wire.BasicCancel{ConsumerTag: "c", NoWait: true}, &wire.BasicCancelOk{ConsumerTag: "c"},
		&wire.BasicReturn{ReplyCode: 312, ReplyText: "t", Exchange: "e", RoutingKey: "k"},
		&wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1, Exchange: "e", RoutingKey: "k"},
		&wire.BasicGetOk{DeliveryTag: 1, Exchange: "e", RoutingKey: "k", MessageCount: 1}, &wire.BasicGetEmpty{},
		&wire.BasicAck{DeliveryTag: 1}, &wire.BasicNack{DeliveryTag: 1},
	}
}

// Every method cut at every byte of its arguments ends the connection with a
// typed error; bytes that do not follow are waited for.
func TestTruncatedMethods(t *testing.T) {
	for _, m := range serverMethods() {
		whole := encoded(t, 1, m)
		payload := whole[7 : len(whole)-1]
		for cut := range len(payload) {
			if m.ID() == wire.MethodConnectionOpenOk || m.ID() == wire.MethodChannelOpenOk || m.ID() == wire.MethodBasicGetEmpty {
				continue // their arguments are reserved
			}
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				p.raw(rawFrame(wire.FrameMethod, 1, payload[:cut]))
				<-ch.Done()
				if e := mustAs[*Error](t, ch.Conn().Err()); e.Code != ErrFrame && e.Code != ErrSyntax {
					t.Errorf("%s cut to %d of %d: %v", m.ID(), cut, len(payload), e)
				}
			})
		}
	}
}

// A stream that ends anywhere ends the connection with an error.
func TestStreamEndsAnywhere(t *testing.T) {
	var stream []byte
	for tag := range uint64(2) {
		stream = append(stream, contentFrames(t, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: tag + 1}, wire.Properties{Headers: wire.Table{"k": "v"}}, []byte("body"))...)
	}
	stream = append(stream, encoded(t, 0, &wire.ConnectionBlocked{Reason: "r"})...)
	for cut := range len(stream) {
		bubble(t, func(t *testing.T) {
			ch, p := openChannel(t, Config{})
			c := p.consume(ch, BasicConsume{ConsumerTag: "c"})
			p.raw(stream[:cut])
			_ = p.nc.Close()
			<-ch.Conn().Done()
			if ch.Err() == nil || ch.Conn().Err() == nil || c.Err() == nil {
				t.Errorf("cut after %d: no error", cut)
			}
		})
	}
}
