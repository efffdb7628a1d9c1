package wire_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
)

// unhex turns hexadecimal digits, with spaces for the reader, into bytes.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantFault fails the test unless err is an *Error with the code.
func wantFault(t *testing.T, err error, code uint16) {
	t.Helper()
	e, ok := errs.AsType[*wire.Error](err)
	if !ok {
		t.Fatalf("error %v (%T), want a *wire.Error with code %d", err, err, code)
	}
	if e.Code != code {
		t.Errorf("code %d, want %d: %v", e.Code, code, e)
	}
	if e.Where == "" || e.Reason == "" {
		t.Errorf("says too little: %+v", e)
	}
}

func TestParseFrame(t *testing.T) {
	tests := []struct {
		name  string
		in    string
		frame wire.Frame
	}{
		{"method", "01 0005 00000004 0014000b ce", wire.Frame{Type: wire.FrameMethod, Channel: 5, Payload: []byte{0, 20, 0, 11}}},
		{"header", "02 ffff 00000001 aa ce", wire.Frame{Type: wire.FrameHeader, Channel: 65535, Payload: []byte{0xaa}}},
		{"body with an end octet inside", "03 0001 00000002 cece ce", wire.Frame{Type: wire.FrameBody, Channel: 1, Payload: []byte{0xce, 0xce}}},
		{"empty body", "03 0001 00000000 ce", wire.Frame{Type: wire.FrameBody, Channel: 1, Payload: []byte{}}},
		{"heartbeat", "08 0000 00000000 ce", wire.Frame{Type: wire.FrameHeartbeat, Payload: []byte{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.in)
			size := len(in)
			in = append(in, 1, 0, 0) // the next frame has begun
			f, n, err := wire.ParseFrame(in, wire.FrameMinSize)
			if err != nil || n != size {
				t.Fatalf("n %d, error %v; want n %d", n, err, size)
			}
			if f.Type != tt.frame.Type || f.Channel != tt.frame.Channel || !bytes.Equal(f.Payload, tt.frame.Payload) {
				t.Errorf("got %+v, want %+v", f, tt.frame)
			}
			if cap(f.Payload) != len(f.Payload) {
				t.Errorf("payload has room for %d more octets of the buffer", cap(f.Payload)-len(f.Payload))
			}
			for cut := range size {
				f, n, err := wire.ParseFrame(in[:cut], wire.FrameMinSize)
				if n != 0 || err != nil || f.Payload != nil {
					t.Errorf("with %d of %d octets: n %d, error %v, frame %+v", cut, size, n, err, f)
				}
			}
		})
	}
}

func TestParseFrameFaults(t *testing.T) {
	tests := []struct {
		name string
		in   string
		max  uint32
		code uint16
		says string
	}{
		{"unknown type", "04", 0, 501, "type 4"},
		{"type 0", "00 0000 00000000 ce", 0, 501, "type 0"},
		{"TLS alert", "15 0301 0002 0246", 0, 501, "TLS"},
		{"TLS handshake", "16", 0, 501, "TLS"},
		{"HTTP", hex.EncodeToString([]byte("HTTP/1.1 400 Bad Request")), 0, 501, "HTTP"},
		{"not quite a protocol header", hex.EncodeToString([]byte("AMP")), 0, 501, "type 65"},
		{"wrong end", "01 0001 00000001 aa cd", 0, 501, "0xcd"},
		{"larger than the limit by one", "03 0001 00000ff9", 4096, 501, "4097"},
		{"largest size", "03 0001 ffffffff", 131072, 501, "4294967303"},
		{"largest size, end within the buffer if it wrapped", "03 0001 ffffffff ce ce ce ce ce ce ce ce", 4294967295, 501, "exceed"},
		{"heartbeat on a channel", "08 0001 00000000", 4096, 505, "channel 1"},
		{"heartbeat with a payload", "08 0000 00000001", 4096, 501, "1 octets"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, n, err := wire.ParseFrame(unhex(t, tt.in), tt.max)
			wantFault(t, err, tt.code)
			if n != 0 || f.Payload != nil {
				t.Errorf("a frame came with the error: %+v, n %d", f, n)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q does not say %q", err, tt.says)
			}
		})
	}
}

func TestParseFrameOfTheLimitIsAccepted(t *testing.T) {
	in := wire.AppendBody(nil, 1, make([]byte, 4088), 4096)
	if _, n, err := wire.ParseFrame(in, 4096); n != 4096 || err != nil {
		t.Errorf("n %d, error %v", n, err)
	}
	if _, _, err := wire.ParseFrame(in, 4095); err == nil {
		t.Error("accepted with a smaller limit")
	}
}

func TestParseFrameWithoutLimitWaitsForAll(t *testing.T) {
	f, n, err := wire.ParseFrame(unhex(t, "03 0001 ffffffff ce ce ce ce ce ce ce ce"), 0)
	if n != 0 || err != nil || f.Payload != nil {
		t.Errorf("frame %+v, n %d, error %v", f, n, err)
	}
}

func TestParseFrameProtocolHeader(t *testing.T) {
	for cut := range len(wire.ProtocolHeader) {
		if _, n, err := wire.ParseFrame([]byte(wire.ProtocolHeader[:cut]), 4096); n != 0 || err != nil {
			t.Errorf("with %d octets: n %d, error %v", cut, n, err)
		}
	}
	_, n, err := wire.ParseFrame([]byte(wire.ProtocolHeader), 4096)
	e, ok := errs.AsType[*wire.ProtocolHeaderError](err)
	if !ok || n != 0 {
		t.Fatalf("n %d, error %v", n, err)
	}
	if *e != (wire.ProtocolHeaderError{ID: 0, Major: 0, Minor: 9, Revision: 1}) {
		t.Errorf("versions %+v", *e)
	}
	_, _, err = wire.ParseFrame([]byte("AMQP\x01\x01\x00\x09"), 4096)
	if want := "AMQP 1.0.9 (protocol id 1)"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
}

func TestAppendHeartbeat(t *testing.T) {
	got := wire.AppendHeartbeat([]byte{7})
	if want := unhex(t, "07 08 0000 00000000 ce"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestAppendBody(t *testing.T) {
	if got, want := wire.AppendBody(nil, 0x0102, []byte("hi"), 4096), unhex(t, "03 0102 00000002 6869 ce"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	const most = wire.FrameMinSize - wire.FrameOverhead
	tests := []struct {
		size     int
		frameMax uint32
		frames   []int // sizes of the payloads
	}{
		{0, 4096, nil},
		{0, 0, nil},
		{1, 4096, []int{1}},
		{most, 4096, []int{most}},
		{most + 1, 4096, []int{most, 1}},
		{3 * most, 4096, []int{most, most, most}},
		{200_000, 131072, []int{131064, 68936}},
		{200_000, 0, []int{200_000}},
		{most + 1, 1, []int{most, 1}}, // below the minimum that every peer accepts
		{most + 1, 8, []int{most, 1}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d octets, frame-max %d", tt.size, tt.frameMax), func(t *testing.T) {
			body := make([]byte, tt.size)
			for i := range body {
				body[i] = byte(i % 251)
			}
			out := wire.AppendBody([]byte("before"), 3, body, tt.frameMax)
			rest, ok := bytes.CutPrefix(out, []byte("before"))
			if !ok {
				t.Fatal("what was there before is gone")
			}
			limit := max(tt.frameMax, wire.FrameMinSize)
			if tt.frameMax == 0 {
				limit = 0
			}
			var sizes []int
			var joined []byte
			for len(rest) > 0 {
				f, n, err := wire.ParseFrame(rest, limit)
				if err != nil || n == 0 || f.Type != wire.FrameBody || f.Channel != 3 {
					t.Fatalf("frame %d: %+v, n %d, error %v", len(sizes), f, n, err)
				}
				sizes = append(sizes, len(f.Payload))
				joined = append(joined, f.Payload...)
				rest = rest[n:]
			}
			if fmt.Sprint(sizes) != fmt.Sprint(tt.frames) {
				t.Errorf("payload sizes %v, want %v", sizes, tt.frames)
			}
			if !bytes.Equal(joined, body) {
				t.Error("the body has changed")
			}
		})
	}
}

func TestAppendBodyGrowsOnce(t *testing.T) {
	body := make([]byte, 1<<20)
	allocs := testing.AllocsPerRun(10, func() { wire.AppendBody(nil, 1, body, 4096) })
	if allocs > 2 { // one, and one more under the race detector
		t.Errorf("%v allocations", allocs)
	}
}
