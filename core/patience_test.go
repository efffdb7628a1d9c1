package core

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// readSlowly reads up to n bytes a second from the client, and keeps them for the peer's next frame.
func (p *peer) readSlowly(n, seconds int) {
	chunk := make([]byte, n)
	for range seconds {
		time.Sleep(time.Second)
		_ = p.nc.SetReadDeadline(time.Now().Add(time.Millisecond))
		got, _ := p.nc.Read(chunk)
		p.buf = append(p.buf, chunk[:got]...)
	}
}

// openSlow returns a channel of a client that has queued half a megabyte, and the peer that has read nothing of it.
func openSlow(t *testing.T, cfg Config) (*Channel, *peer) {
	t.Helper()
	cfg.WriteBuffer, cfg.Heartbeat = 1<<20, -1
	ch, p := openChannel(t, cfg)
	for range 4 {
		noErr(t, ch.Publish(bg, &Publishing{Body: make([]byte, 128<<10)}))
	}
	synctest.Wait() // the socket is full
	return ch, p
}

// An answer is awaited from when the request has left, however long that takes, as long as bytes leave.
func TestAnswerIsAwaitedFromWhenTheRequestHasLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openSlow(t, Config{RPCTimeout: 10 * time.Second})
		rpc := async0(func() error { return ch.QueueBind(bg, QueueBind{Queue: "q"}) })
		p.readSlowly(8<<10, 60)
		rpc.waits(t)
		for range 4 {
			p.content(ch.ID())
		}
		want[*wire.QueueBind](p, ch.ID())
		p.send(ch.ID(), &wire.QueueBindOk{})
		rpc.get(t)
		noErr(t, ch.Err())
	})
}

// Once it has left the limit counts; and it counts from the start where nothing leaves at all.
func TestAnswerThatDoesNotComeOnASlowLink(t *testing.T) {
	for name, tt := range map[string]struct {
		seconds     int // of reading
		least, most time.Duration
	}{
		"nothing leaves":   {0, 10 * time.Second, 10 * time.Second},
		"it stops leaving": {20, 28 * time.Second, 32 * time.Second},
		"it has left":      {70, 70 * time.Second, 78 * time.Second}, // after 58 s the socket has the last 64 KiB
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openSlow(t, Config{RPCTimeout: 10 * time.Second, WriteTimeout: time.Minute})
				begin := time.Now()
				rpc := async0(func() error { return ch.QueueBind(bg, QueueBind{Queue: "q"}) })
				p.readSlowly(8<<10, tt.seconds)
				mustIs(t, rpc.fail(t), ErrTimeout)
				if d := time.Since(begin); d < tt.least || d > tt.most {
					t.Errorf("given up after %s", d)
				}
				noErr(t, ch.Conn().Err())
				p.nc.Reset()
				<-ch.Conn().Done()
			})
		})
	}
}

// Closing counts the same way: what is queued is written first.
func TestCloseWaitsForWhatLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openSlow(t, Config{CloseTimeout: 3 * time.Second})
		p.readSlowly(8<<10, 20) // enough for the writes to follow the pace
		closing := async0(func() error { return ch.Conn().Close(bg) })
		p.readSlowly(8<<10, 40)
		closing.waits(t)
		for range 4 {
			p.content(ch.ID())
		}
		want[*wire.ConnectionClose](p, 0)
		p.send(0, &wire.ConnectionCloseOk{})
		closing.get(t)
	})
}

// While the broker blocks it has stopped reading: heartbeats that leave are no reason to wait on.
func TestNothingMovesWhileBlocked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openSlow(t, Config{RPCTimeout: 10 * time.Second})
		p.send(0, &wire.ConnectionBlocked{})
		synctest.Wait()
		begin := time.Now()
		rpc := async0(func() error { return ch.QueueBind(bg, QueueBind{Queue: "q"}) })
		p.readSlowly(8<<10, 20)
		mustIs(t, rpc.fail(t), ErrTimeout)
		if d := time.Since(begin); d > 20*time.Second {
			t.Errorf("given up after %s", d)
		}
		p.nc.Reset()
		<-ch.Conn().Done()
	})
}

// What the socket takes has not left as long as it only holds more.
func TestDeparturesMove(t *testing.T) {
	before := departures{taken: 1000, held: 400}
	for now, want := range map[departures]bool{
		{1000, 400}: false,
		{1008, 408}: false, // a heartbeat behind what stands
		{1000, 600}: false, // half of a write
		{1000, 399}: true,
		{1100, 450}: true,
		{2000, 400}: true,
	} {
		if now.moved(before) != want {
			t.Errorf("%+v after %+v: moved %t", now, before, !want)
		}
	}
}

func TestChunkFollowsTheLink(t *testing.T) {
	const limit = 30 * time.Second
	chunk := maxChunk
	if chunk = nextChunk(chunk, 16*limit/32, limit); chunk != maxChunk/16 {
		t.Errorf("on a link of 8 KB/s %d", chunk)
	}
	if same := nextChunk(chunk, limit/32, limit); same != chunk {
		t.Errorf("where it fits %d", same)
	}
	if chunk = nextChunk(chunk, limit, limit); chunk != minChunk {
		t.Errorf("on a link that hardly moves %d", chunk)
	}
	for range 10 {
		chunk = nextChunk(chunk, time.Millisecond, limit)
	}
	if chunk != maxChunk {
		t.Errorf("on a fast link %d", chunk)
	}
}
