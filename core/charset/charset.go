// Package charset turns message bodies into text and back, by the charset
// that the content-encoding property names. It is a package of its own so that
// who does not use it links no charset tables.
//
//	text, err := charset.Decode(d.Properties().ContentEncoding, d.Body)
//
// Nothing is guessed: an unknown name, and bytes or characters that the
// charset does not have, are errors.
package charset

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
)

// ErrUnknown: the name is no charset, or none that is known here. Content
// codings such as gzip are not undone.
var ErrUnknown = errors.New("unknown charset")

// ErrInvalid: the body holds bytes that are no text in its charset, or the
// text holds characters that the charset does not have.
var ErrInvalid = errors.New("not representable in this charset")

// Decode returns the text of a body in the named charset. Names are IANA's
// (for example UTF-8, ISO-8859-1, windows-1252, Shift_JIS), with aliases and
// whatever case, hyphens and underscores; the empty name is UTF-8. Errors wrap
// [ErrUnknown] or [ErrInvalid].
func Decode(name string, body []byte) (string, error) {
	e, err := find(name)
	if err != nil {
		return "", err
	}
	if e == nil {
		if !utf8.Valid(body) {
			return "", fmt.Errorf("%w: body is no utf-8", ErrInvalid)
		}
		return string(body), nil
	}
	text, err := e.NewDecoder().Bytes(body)
	if err != nil {
		return "", fmt.Errorf("%w: %q: %w", ErrInvalid, name, err)
	}
	if strings.ContainsRune(string(text), utf8.RuneError) { // which decoders put in place of what they do not know
		return "", fmt.Errorf("%w: body is no %q", ErrInvalid, name)
	}
	return string(text), nil
}

// Encode returns text as a body in the named charset, for a message whose
// content-encoding has the same name. Errors are those of [Decode].
func Encode(name, text string) ([]byte, error) {
	e, err := find(name)
	if err != nil {
		return nil, err
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("%w: text is no utf-8", ErrInvalid)
	}
	if e == nil {
		return []byte(text), nil
	}
	body, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrInvalid, name, err)
	}
	return body, nil
}

// find returns the charset of that name, nil for UTF-8.
func find(name string) (encoding.Encoding, error) {
	for _, spelling := range []string{
		name, strings.ReplaceAll(name, "_", "-"), strings.NewReplacer("_", "", "-", "").Replace(name),
	} {
		if strings.EqualFold(spelling, "utf-8") || strings.EqualFold(spelling, "utf8") || spelling == "" {
			return nil, nil
		}
		if e, err := ianaindex.IANA.Encoding(spelling); err == nil && e != nil {
			return e, nil
		}
		if e, err := htmlindex.Get(spelling); err == nil {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
}
