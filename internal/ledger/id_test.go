package ledger

import (
	"bytes"
	"errors"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

var someID = ID{Run: 1<<63 | 7, Publisher: 3, Seq: 1<<47 + 5, Attempt: 2, Key: 0xdeadbeef}

func TestIdentitySurvivesBodyAndHeader(t *testing.T) {
	for _, size := range []int{0, PrefixSize, PrefixSize + 1, 1000} {
		body := someID.AppendBody([]byte("before"), size)[len("before"):]
		if want := max(size, PrefixSize); len(body) != want {
			t.Fatalf("body of %d bytes, want %d", len(body), want)
		}
		if id, _, err := Decode(body); err != nil || id != someID {
			t.Errorf("size %d: decoded %+v, %v", size, id, err)
		}
		if h := Headers(body)[Header]; !bytes.Equal(h.([]byte), body[:PrefixSize]) {
			t.Errorf("header %x differs from the body's beginning", h)
		}
	}
}

func TestAHandlerIsShownTheHeaderAsBytesOrAsAString(t *testing.T) {
	body, other := ID{Run: 1, Seq: 1}.AppendBody(nil, 50), ID{Run: 1, Seq: 2}.AppendBody(nil, 50)
	for _, c := range []struct {
		header any
		want   error
	}{
		{body[:PrefixSize], nil},
		{string(body[:PrefixSize]), nil},
		{other[:PrefixSize], ErrCorrupt},
		{string(other[:PrefixSize]), ErrCorrupt},
		{nil, ErrCorrupt},
	} {
		_, err := New(1).Consumer("q").Receive(Received{Headers: wire.Table{Header: c.header}, Body: body})
		if !errors.Is(err, c.want) {
			t.Errorf("header %x: %v, want %v", c.header, err, c.want)
		}
	}
}

func TestDecodeSeesEveryChangedByte(t *testing.T) {
	body := someID.AppendBody(nil, 50)
	for i := range body {
		body[i] ^= 0x10
		want := ErrCorrupt
		if i < len(magic) {
			want = ErrForeign
		}
		if _, _, err := Decode(body); !errors.Is(err, want) {
			t.Errorf("byte %d changed: error %v, want %v", i, err, want)
		}
		body[i] ^= 0x10
	}
	for n := range body {
		if _, _, err := Decode(body[:n]); err == nil {
			t.Errorf("cut to %d bytes: no error", n)
		}
	}
}

func TestBodiesDifferInEachPartOfTheIdentity(t *testing.T) {
	seen := map[string]ID{}
	for _, id := range []ID{
		{}, {Run: 1}, {Publisher: 1}, {Seq: 1}, {Attempt: 1}, {Key: 1},
	} {
		body := string(id.AppendBody(nil, 0))
		if other, ok := seen[body]; ok {
			t.Errorf("%+v and %+v have one body", id, other)
		}
		seen[body] = id
	}
}

func TestIdentityIsReadAndWrittenWithoutAllocating(t *testing.T) {
	buf := make([]byte, 0, 200)
	if n := testing.AllocsPerRun(100, func() {
		body := someID.AppendBody(buf, 200)
		if id, _, err := Decode(body); err != nil || id != someID {
			t.Fatal(id, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(someID.AppendBody(nil, 0))
	f.Add(someID.AppendBody(nil, 100))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, _, err := Decode(b)
		if errors.Is(err, ErrForeign) && id != (ID{}) {
			t.Errorf("identity %+v in a foreign body", id)
		}
	})
}
