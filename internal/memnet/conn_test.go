package memnet

import (
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/internal/errs"
)

func TestBytesArriveInBothDirections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		mustWrite(t, c, "ping")
		mustWrite(t, s, "pong")
		mustRead(t, s, "ping")
		mustRead(t, c, "pong")
	})
}

func TestReadWaitsForBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		done := later(func() error { return readErr(s) })
		mustBlock(t, done)
		mustWrite(t, c, "x")
		mustFail(t, <-done, nil)
	})
}

func TestWriteBlocksAtTheBufferAndGoesOnAsItIsRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		c.Out().SetBuffer(4)
		done := later(func() error { _, err := io.WriteString(c, "0123456789"); return err })
		mustBlock(t, done)
		if n := c.Out().Buffered(); n != 4 {
			t.Fatalf("%d bytes buffered, want 4", n)
		}
		mustRead(t, s, "01234567")
		mustFail(t, <-done, nil)
		mustRead(t, s, "89")
		if n := c.Out().Written(); n != 10 {
			t.Fatalf("%d bytes written, want 10", n)
		}
	})
}

func TestCloseLetsThePeerReadWhatIsThereThenEOF(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		mustWrite(t, c, "bye")
		mustFail(t, c.Close(), nil)
		mustRead(t, s, "bye")
		if err := readErr(s); err != io.EOF {
			t.Fatalf("error %v, want io.EOF itself", err)
		}
		mustFail(t, writeErr(s), syscall.EPIPE)
		mustFail(t, readErr(c), net.ErrClosed)
		mustFail(t, writeErr(c), net.ErrClosed)
		mustFail(t, c.Close(), net.ErrClosed)
		mustFail(t, c.SetDeadline(time.Time{}), net.ErrClosed)
		mustFail(t, c.SetWriteDeadline(time.Time{}), net.ErrClosed)
	})
}

func TestCloseFreesThoseWhoWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		c.Out().SetBuffer(0)
		s.Out().SetBuffer(0)
		read := later(func() error { return readErr(c) })
		write := later(func() error { return writeErr(c) })
		theirs := later(func() error { return writeErr(s) })
		mustBlock(t, read)
		mustBlock(t, write)
		_ = c.Close()
		mustFail(t, <-read, net.ErrClosed)
		mustFail(t, <-write, net.ErrClosed)
		mustFail(t, <-theirs, syscall.EPIPE)
	})
}

func TestCloseWriteLeavesTheOtherDirectionOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		mustWrite(t, c, "x")
		_ = c.CloseWrite()
		mustRead(t, s, "x")
		mustFail(t, readErr(s), io.EOF)
		mustFail(t, writeErr(c), syscall.EPIPE)
		mustWrite(t, s, "answer")
		mustRead(t, c, "answer")
	})
}

func TestResetFailsBothEndsAndLosesTheBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		mustWrite(t, c, "lost")
		waiting := later(func() error { return readErr(c) })
		mustBlock(t, waiting)
		s.Reset()
		mustFail(t, <-waiting, syscall.ECONNRESET)
		mustFail(t, readErr(s), syscall.ECONNRESET)
		mustFail(t, writeErr(c), syscall.ECONNRESET)
		mustFail(t, writeErr(s), syscall.ECONNRESET)
	})
}

func TestBreakFailsBothEndsBehindTheBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		mustWrite(t, c, "up")
		mustWrite(t, s, "down")
		s.Break()
		mustFail(t, writeErr(c), syscall.ECONNRESET)
		mustFail(t, writeErr(s), syscall.ECONNRESET)
		mustRead(t, c, "down")
		mustRead(t, s, "up")
		mustFail(t, readErr(c), syscall.ECONNRESET)
		mustFail(t, readErr(s), syscall.ECONNRESET)
		c, s = Pipe()
		mustWrite(t, s, "down")
		c.Out().Stall()
		mustWrite(t, c, "lost")
		s.Break()
		mustFail(t, readErr(s), syscall.ECONNRESET)
		mustFail(t, s.Close(), nil) // takes nothing back
		mustRead(t, c, "down")
		mustFail(t, readErr(c), syscall.ECONNRESET)
	})
}

func TestDeadlinesPassInFakeTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := Pipe()
		c.Out().SetBuffer(2)
		start := time.Now()
		_ = c.SetReadDeadline(start.Add(time.Second))
		_ = c.SetWriteDeadline(start.Add(2 * time.Second))
		err := readErr(c)
		mustFail(t, err, os.ErrDeadlineExceeded)
		if ne, ok := errs.AsType[net.Error](err); !ok || !ne.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		n, err := io.WriteString(c, "abc")
		mustFail(t, err, os.ErrDeadlineExceeded)
		if n != 2 || time.Since(start) != 2*time.Second {
			t.Errorf("%d bytes after %s, want 2 after 2s", n, time.Since(start))
		}
	})
}

func TestDeadlineAppliesToThoseWhoAlreadyWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		read := later(func() error { return readErr(c) })
		mustBlock(t, read)
		_ = c.SetReadDeadline(time.Unix(1, 0))
		mustFail(t, <-read, os.ErrDeadlineExceeded)
		mustWrite(t, s, "x")
		mustFail(t, readErr(c), os.ErrDeadlineExceeded) // as with sockets, bytes or not
		_ = c.SetReadDeadline(time.Time{})
		mustRead(t, c, "x")
	})
}

func TestDeadlineThatIsLiftedNoLongerEndsAWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := Pipe()
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		read := later(func() error { return readErr(c) })
		synctest.Wait()
		_ = c.SetReadDeadline(time.Time{})
		time.Sleep(time.Minute)
		mustBlock(t, read)
		mustWrite(t, s, "x")
		mustFail(t, <-read, nil)
	})
}

func TestAddresses(t *testing.T) {
	c, s := Pipe()
	if c.LocalAddr().String() != s.RemoteAddr().String() || s.LocalAddr().String() != c.RemoteAddr().String() {
		t.Error("the ends disagree on their addresses")
	}
	if _, port, err := net.SplitHostPort(c.RemoteAddr().String()); err != nil || port != "5672" || c.RemoteAddr().Network() != "tcp" {
		t.Errorf("remote address %v", c.RemoteAddr())
	}
	_ = c.Close()
	if msg := readErr(c).Error(); !strings.HasPrefix(msg, "read tcp 127.0.0.1:40000->127.0.0.1:5672: ") {
		t.Errorf("message %q", msg)
	}
}
