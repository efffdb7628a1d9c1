package core

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// beat is a connection with a heartbeat of ten seconds.
func beat(t *testing.T) (*Conn, *peer) {
	t.Helper()
	return openTuned(t, Config{Heartbeat: 10 * time.Second}, &wire.ConnectionTune{Heartbeat: 10})
}

func TestSilentServerIsNoticedWithinTwoIntervals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := beat(t)
		p.nc.In().SetBuffer(0) // it does not even read
		begin := time.Now()
		<-c.Done()
		mustIs(t, c.Err(), ErrSilent)
		if d := time.Since(begin); d > 20*time.Second || d < 10*time.Second {
			t.Errorf("noticed after %s", d)
		}
	})
}

// The time since the last octet counts, whatever it belongs to.
func TestSilenceBeginsWithTheLastOctet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := beat(t)
		go func() { _ = readAll(p) }()
		for range 20 {
			time.Sleep(9 * time.Second)
			p.raw(wire.AppendHeartbeat(nil))
		}
		begin := time.Now()
		<-c.Done()
		mustIs(t, c.Err(), ErrSilent)
		if d := time.Since(begin); d > 20*time.Second || d < 15*time.Second {
			t.Errorf("noticed %s after the last heartbeat", d)
		}
	})
}

func readAll(p *peer) error {
	b := make([]byte, 1000)
	for {
		if _, err := p.nc.Read(b); err != nil {
			return err
		}
	}
}

func TestHeartbeatsAreSentWhileIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, p := beat(t)
		last := time.Now()
		for range 10 {
			if f := p.anyFrame(); f.Type != wire.FrameHeartbeat || f.Channel != 0 {
				t.Fatalf("frame of type %d on channel %d", f.Type, f.Channel)
			}
			if d := time.Since(last); d > 10*time.Second {
				t.Errorf("%s without a frame", d)
			}
			last = time.Now()
			p.raw(wire.AppendHeartbeat(nil))
		}
	})
}

// Frames of any kind replace heartbeats.
func TestNoHeartbeatsWhileBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := beat(t)
		ch := p.channel(c)
		for range 60 {
			time.Sleep(time.Second)
			noErr(t, ch.Publish(bg, &Publishing{}))
			p.raw(wire.AppendHeartbeat(nil))
			for range 2 { // method and header
				if f := p.anyFrame(); f.Type == wire.FrameHeartbeat {
					t.Fatal("a heartbeat though frames were sent")
				}
			}
		}
	})
}

func TestHeartbeatsOffIsNeverSilent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openTuned(t, Config{Heartbeat: -1}, &wire.ConnectionTune{Heartbeat: 60})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		noErr(t, c.Err())
		p.quiet()
		if _, err := p.readFrame(time.Hour); err == nil {
			t.Error("a heartbeat though they are off")
		}
	})
}

func TestHeartbeatByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openTuned(t, Config{Heartbeat: -1}, &wire.ConnectionTune{})
		noErr(t, c.SendHeartbeat())
		if f := p.anyFrame(); f.Type != wire.FrameHeartbeat {
			t.Errorf("frame of type %d", f.Type)
		}
		time.Sleep(time.Second)
		p.raw(wire.AppendHeartbeat(nil))
		synctest.Wait()
		s := c.Stats()
		if s.BytesSent != 8 || s.BytesReceived != 8 || s.LastReceived.Sub(s.LastSent) != time.Second {
			t.Errorf("stats %+v", s)
		}
		_ = p.nc.Close()
		<-c.Done()
		if c.SendHeartbeat() == nil {
			t.Error("no error on a dead connection")
		}
	})
}

// A frame that trickles in octet by octet keeps nobody waiting for ever.
func TestFrameThatTricklesIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := beat(t)
		go func() { _ = readAll(p) }()
		begin := time.Now()
		p.raw([]byte{wire.FrameMethod, 0, 0, 0, 0, 4, 0})
		for c.Err() == nil && time.Since(begin) < time.Hour {
			time.Sleep(5 * time.Second)
			p.raw([]byte{0})
		}
		<-c.Done()
		mustIs(t, c.Err(), ErrTimeout)
		if d := time.Since(begin); d > 70*time.Second {
			t.Errorf("given up after %s", d)
		}
	})
}

// However the frames of an application fall between them, the peer never waits for longer than two thirds of
// the interval: there is time for a slow network before it takes this side for dead.
func TestNoLongGapWhateverWasWrittenWhen(t *testing.T) {
	for late := time.Duration(0); late < 10*time.Second; late += 300 * time.Millisecond {
		bubble(t, func(t *testing.T) {
			c, p := beat(t)
			ch := p.channel(c)
			time.Sleep(late)
			p.raw(wire.AppendHeartbeat(nil))
			p.quiet()
			noErr(t, ch.Publish(bg, &Publishing{}))
			p.content(1)
			for range 5 {
				last := time.Now()
				p.raw(wire.AppendHeartbeat(nil))
				p.anyFrame()
				if d := time.Since(last); d > 6700*time.Millisecond {
					t.Errorf("written at %s: %s without a frame", late, d)
				}
			}
		})
	}
}
