package memnet

import (
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestStallHoldsBytesAndTheEndBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		c.Out().SetBuffer(3)
		c.Out().Stall()
		mustWrite(t, c, "abc")
		write := later(func() error { return writeErr(c) })
		read := later(func() error { return readErr(s) })
		mustBlock(t, write)
		mustBlock(t, read)
		mustWrite(t, s, "other way") // is not stalled
		mustRead(t, c, "other way")
		c.Out().Resume()
		mustFail(t, <-read, nil)
		mustFail(t, <-write, nil)
		c.Out().Stall()
		_ = c.Close()
		end := later(func() error { _, err := io.ReadAll(s); return err })
		mustBlock(t, end)
		c.Out().Resume()
		mustFail(t, <-end, nil)
	})
}

func TestStallHidesThatThePeerIsGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		c.In().Stall()
		c.Out().Stall()
		_ = s.Close()
		mustWrite(t, c, "into the void")
		mustBlock(t, later(func() error { return readErr(c) }))
		c.Out().Resume()
		mustFail(t, writeErr(c), syscall.EPIPE)
		c.In().Resume()
	})
}

func TestResetPassesAStall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		c.In().Stall()
		read := later(func() error { return readErr(c) })
		mustBlock(t, read)
		s.Reset()
		mustFail(t, <-read, syscall.ECONNRESET)
	})
}

func TestSliceLimitsEachRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		c.Out().Slice(2)
		mustWrite(t, c, "abcde")
		b := make([]byte, 10)
		for _, want := range []string{"ab", "cd", "e"} {
			if n, err := s.Read(b); err != nil || string(b[:n]) != want {
				t.Fatalf("read %q, %v; want %q", b[:n], err, want)
			}
		}
	})
}

func TestCutAfterEveryPosition(t *testing.T) {
	const msg = "0123456789"
	for at := range len(msg) {
		bubble(t, func(t *testing.T) {
			c, s := Pipe()
			mustWrite(t, c, "before")
			mustWrite(t, s, "under way")
			c.Out().CutAfter(int64(at))
			n, err := io.WriteString(c, msg)
			mustFail(t, err, syscall.ECONNRESET)
			if n != at {
				t.Fatalf("cut after %d: the write took %d", at, n)
			}
			mustRead(t, s, "before"+msg[:at])
			mustFail(t, readErr(s), syscall.ECONNRESET)
			mustFail(t, writeErr(s), syscall.ECONNRESET)
			mustRead(t, c, "under way")
			mustFail(t, readErr(c), syscall.ECONNRESET)
		})
	}
}

func TestCutAtTheEndOfAWriteBreaksTheConnectionThen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		c.Out().CutAfter(3)
		mustWrite(t, c, "abc")
		mustFail(t, writeErr(c), syscall.ECONNRESET)
		mustRead(t, s, "abc")
		mustFail(t, readErr(s), syscall.ECONNRESET)
	})
}

func TestDelayMakesBytesLateInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		start := time.Now()
		mustWrite(t, c, "now")
		c.Out().Delay(time.Second)
		mustWrite(t, c, "late")
		time.Sleep(time.Millisecond)
		c.Out().Delay(0)
		mustWrite(t, c, "behind")
		_ = c.Close()
		mustRead(t, s, "now")
		if d := time.Since(start); d != time.Millisecond {
			t.Fatalf("what was on its way before the delay came after %s", d)
		}
		mustRead(t, s, "late")
		mustRead(t, s, "behind")
		if d := time.Since(start); d != time.Second {
			t.Fatalf("came after %s, want 1s", d)
		}
		mustFail(t, readErr(s), io.EOF)
	})
}

func TestDelayAppliesToTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		start := time.Now()
		c.Out().Delay(time.Second)
		_ = c.Close()
		mustFail(t, readErr(s), io.EOF)
		if d := time.Since(start); d != time.Second {
			t.Fatalf("EOF after %s, want 1s", d)
		}
	})
}

func TestDelayedBytesArriveOneByOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		c.Out().Delay(10 * time.Millisecond)
		for _, b := range []string{"a", "b", "c"} {
			mustWrite(t, c, b)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(8 * time.Millisecond) // 11 ms: a and b have arrived
		synctest.Wait()
		b := make([]byte, 10)
		if n, err := s.Read(b); err != nil || string(b[:n]) != "ab" {
			t.Fatalf("read %q, %v; want ab", b[:n], err)
		}
		mustRead(t, s, "c")
	})
}
