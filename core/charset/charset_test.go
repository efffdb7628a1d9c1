package charset

import (
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"
)

func TestRoundTrips(t *testing.T) {
	for _, tt := range []struct {
		names []string
		text  string
		body  []byte
	}{
		{[]string{"", "utf-8", "UTF-8", "utf8", "UTF_8"}, "grün ✓", []byte("grün ✓")},
		{[]string{"latin_1", "iso-8859-1", "ISO_8859-1", "latin1", "l1"}, "grün", []byte("gr\xfcn")},
		{[]string{"windows-1252", "cp1252"}, "5 €", []byte("5 \x80")},
		{[]string{"iso-8859-15", "ISO_8859-15"}, "5 €", []byte("5 \xa4")},
		{[]string{"us-ascii"}, "plain", []byte("plain")},
		{[]string{"shift_jis", "Shift-JIS"}, "日本", []byte("\x93\xfa\x96\x7b")},
		{[]string{"gb18030"}, "中", []byte("\xd6\xd0")},
		{[]string{"koi8-r", "KOI8_R"}, "мир", []byte("\xcd\xc9\xd2")},
		{[]string{"utf-16be"}, "a€", []byte("\x00a\x20\xac")},
	} {
		for _, name := range tt.names {
			text, err := Decode(name, tt.body)
			if err != nil || text != tt.text {
				t.Errorf("%s: decoded %q, %v; want %q", name, text, err, tt.text)
			}
			body, err := Encode(name, tt.text)
			if err != nil || !bytes.Equal(body, tt.body) {
				t.Errorf("%s: encoded %q, %v; want %q", name, body, err, tt.body)
			}
		}
	}
}

func TestEmptyBody(t *testing.T) {
	for _, name := range []string{"", "utf-8", "latin1", "shift_jis"} {
		if text, err := Decode(name, nil); err != nil || text != "" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// Nothing is passed over in silence.
func TestErrors(t *testing.T) {
	for _, name := range []string{"gzip", "no-such-charset", "base64", "\xff", "utf-99"} {
		if _, err := Decode(name, []byte("x")); !errors.Is(err, ErrUnknown) {
			t.Errorf("decode %q: %v", name, err)
		}
		if _, err := Encode(name, "x"); !errors.Is(err, ErrUnknown) {
			t.Errorf("encode %q: %v", name, err)
		}
	}
	for name, body := range map[string]string{"": "\xff", "utf-8": "a\xc3", "shift_jis": "\x93", "us-ascii": "\x80", "iso-8859-6": "\xff", "utf-16be": "\xd8\x00"} {
		if text, err := Decode(name, []byte(body)); !errors.Is(err, ErrInvalid) {
			t.Errorf("decode %q as %q: %q, %v", body, name, text, err)
		}
	}
	for name, text := range map[string]string{"latin1": "€", "us-ascii": "ü", "shift_jis": "\xff", "utf-8": "\xff"} {
		if body, err := Encode(name, text); !errors.Is(err, ErrInvalid) {
			t.Errorf("encode %q as %q: %q, %v", text, name, body, err)
		}
	}
}

// FuzzDecode: what decodes is text, and no name and no bytes panic.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"", "utf-8", "latin1", "shift_jis", "gb18030", "iso-2022-jp", "utf-16", "big5", "gzip"} {
		f.Add(name, []byte("a\x93\xfa\x1b$B"))
	}
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		text, err := Decode(name, body)
		if err == nil && !utf8.ValidString(text) {
			t.Errorf("%q decodes to %q", body, text)
		}
		if err == nil {
			_, _ = Encode(name, text)
		}
	})
}
