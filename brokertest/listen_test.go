package brokertest

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

// TestALinkMayEndBeforeItsFirstOctet ends connections in OnConnect: the client has one, the broker does not.
func TestALinkMayEndBeforeItsFirstOctet(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(*Link)
		want  error // of reading; nil: nothing ever comes
	}{
		"reset":     {(*Link).Reset, syscall.ECONNRESET},
		"end":       {(*Link).End, io.EOF},
		"half-open": {(*Link).HalfOpen, nil},
	} {
		t.Run(name+" in memory", func(t *testing.T) {
			b := New(t)
			b.OnConnect(c.fault)
			nc, err := b.DialContext(t.Context(), "tcp", "")
			if err != nil {
				t.Fatal(err)
			}
			endedAtOnce(t, b, nc, c.want)
		})
		t.Run(name+" in loopback", func(t *testing.T) {
			b := New(t)
			var dialling sync.Mutex // or dialling itself fails
			b.OnConnect(func(l *Link) {
				dialling.Lock()
				defer dialling.Unlock()
				c.fault(l)
			})
			for range 2 { // when the second is accepted, the first is done with
				dialling.Lock()
				nc, err := net.Dial("tcp", b.Addr())
				dialling.Unlock()
				if err != nil {
					t.Fatal(err)
				}
				endedAtOnce(t, b, nc, c.want)
			}
		})
	}
}

func endedAtOnce(t *testing.T, b *Broker, nc net.Conn, want error) {
	t.Helper()
	defer func() { _ = nc.Close() }()
	if want != nil {
		if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, want) {
			t.Errorf("read: %v, want %v", err, want)
		}
	}
	if links, cut := len(b.Links()), b.Cut(); links != 0 || cut != 0 {
		t.Errorf("%d links are left, %d were cut", links, cut)
	}
}
